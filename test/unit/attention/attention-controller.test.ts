/** The controller with a scripted engine and a scripted document: what a reader does, and what the world does to it. */
import { beforeEach, describe, expect, it } from 'vitest';
import { AttentionController } from '../../../src/attention/attention-controller.ts';
import type { Engine, Painting, Source, TextPlace } from '../../../src/attention/inspection.ts';
import { AppError, cancelled } from '../../../src/shared/app-error.ts';
import type { PanelState } from '../../../src/shared/attention-contract.ts';
import type { ModelInfo, PromptInput, Token } from '../../../src/shared/engine-contract.ts';
import type { EngineState } from '../../../src/shared/engine-state.ts';

const model = { inspectionRefused: undefined } as unknown as ModelInfo;

/** Every character is a token; row q gives all that it sees the same share. */
class ScriptedEngine implements Engine {
  state: EngineState = { kind: 'ready', model };
  readonly calls: { method: string; params: never }[] = [];
  readonly listeners = new Set<(state: EngineState) => void>();
  /** What it writes where it is a translator. */
  answer: string | undefined;
  fail: { method: string; error: Error } | undefined;
  /** Waits here before every answer. */
  gate: Promise<void> = Promise.resolve();
  #nextId = 1;

  onDidChangeState(listener: (state: EngineState) => void) {
    this.listeners.add(listener);
    return { dispose: () => this.listeners.delete(listener) };
  }

  async call(method: string, params: never, options: { signal?: AbortSignal } = {}): Promise<never> {
    this.calls.push({ method, params });
    await this.gate;
    if (options.signal?.aborted) throw cancelled();
    if (this.fail?.method === method) throw this.fail.error;
    return this.#answer(method, params) as never;
  }

  #answer(
    method: string,
    params: { input: PromptInput; target?: PromptInput; inspectionId: number; stack?: number; continuation?: number[] },
  ): unknown {
    if (method === 'encode') return encode(params.input);
    if (method === 'inspect') {
      const encoded = encode(params.input, params.continuation);
      const shape = { layers: 3, heads: 4, kvHeads: 2 };
      const inspectionId = this.#nextId++;
      if (!this.answer) return { inspectionId, encoded, stacks: [{ ...decoderStack, ...shape }], ...shape, runMs: 1 };
      const target = encode(params.target ?? { kind: 'text', text: this.answer });
      return { inspectionId, encoded, target, stacks: translatorStacks, ...shape, runMs: 1 };
    }
    if (method === 'inspectPicture') return { inspectionId: this.#nextId++, ...inspectedPicture };
    if (method === 'attentionMap' && params.stack === 2) return crossMap(this.answer?.length ?? 0, this.#tokens());
    if (method === 'attentionMap') return uniformMap(this.#tokens());
    if (method === 'score') return { topIds: Int32Array.from([0, 0, 122]) };
    if (method === 'causalTest') return params;
    return undefined;
  }

  #tokens(): number {
    const last = this.of('inspect').at(-1) as { input: PromptInput } | undefined;
    return last ? encode(last.input).tokens.length : 0;
  }

  of(method: string): unknown[] {
    return this.calls.filter((call) => call.method === method).map(({ params }) => params);
  }
}

const decoderStack = { name: 'decoder', isCausal: true, queries: 'source', keys: 'source' };
const translatorStacks = [
  { name: 'encoder', isCausal: false, queries: 'source', keys: 'source', layers: 2, heads: 4, kvHeads: 4 },
  { name: 'decoder', isCausal: true, queries: 'target', keys: 'target', layers: 3, heads: 4, kvHeads: 4 },
  { name: 'cross', isCausal: false, queries: 'target', keys: 'source', layers: 1, heads: 2, kvHeads: 2 },
];

/** A [CLS] and 2 x 2 patches. */
const inspectedPicture = {
  encoded: encode({ kind: 'text', text: 'c0123' }),
  picture: { width: 2, height: 2, rows: 2, columns: 2, firstPatch: 1, pixels: new Uint8Array(16).fill(9) },
  stacks: [{ name: 'encoder', isCausal: false, queries: 'source', keys: 'source', layers: 2, heads: 3, kvHeads: 3 }],
  notes: ['Not shown: 1 attentions inside windows.'],
  runMs: 1,
};

/** Query q attends to key q alone. */
function crossMap(tokens: number, keys: number) {
  const weights = new Float32Array(tokens * keys);
  for (let query = 0; query < tokens; query++) weights[query * keys + (query % keys)] = 1;
  return { weights, tokens, keys, isBidirectional: true };
}

function uniformMap(tokens: number) {
  const weights = new Float32Array(tokens * tokens);
  for (let query = 0; query < tokens; query++)
    weights.fill(1 / (query + 1), query * tokens, query * tokens + query + 1);
  return { weights, tokens };
}

function encode(input: PromptInput, continuation: number[] = []) {
  const ids = input.kind === 'ids' ? input.ids : undefined;
  const own = ids ? String.fromCodePoint(...ids) : input.kind === 'text' ? input.text : 'chat';
  const text = own + String.fromCodePoint(...continuation);
  const tokens: Token[] = [...text].map((character, index) => ({
    id: character.codePointAt(0) ?? 0,
    text: character,
    start: index,
    end: index + 1,
    isSpecial: false,
  }));
  return { text, tokens, neutralised: [] };
}

class ScriptedPlace implements TextPlace {
  status: TextPlace['status'] = 'live';
  painting: Painting | undefined;
  revealed: [number, number] | undefined;
  isDisposed = false;
  cursor: number | undefined;
  readonly #listeners = new Set<() => void>();

  onDidChange = (listener: () => void) => {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  };
  become(status: TextPlace['status']): void {
    this.status = status;
    for (const listener of this.#listeners) listener();
  }
  paint(painting: Painting): void {
    this.painting = painting;
  }
  clear(): void {
    this.painting = undefined;
  }
  async reveal(start: number, end: number): Promise<void> {
    this.revealed = [start, end];
  }
  cursorOffset(): number | undefined {
    return this.cursor;
  }
  dispose(): void {
    this.isDisposed = true;
  }
}

function textSource(text: string, place?: TextPlace): Source {
  return { title: 'a.txt, line 1', input: { kind: 'text', text }, notes: [], ...(place ? { place } : {}) };
}

let engine: ScriptedEngine;
let states: PanelState[];
let controller: AttentionController;
let limit: number;

beforeEach(() => {
  engine = new ScriptedEngine();
  states = [];
  limit = 8;
  controller = new AttentionController({
    engine,
    readLimit: () => limit,
    onDidChange: (state) => states.push(state),
    log: () => {},
  });
});

function shown() {
  if (controller.state.kind !== 'shown') throw new Error(`not shown: ${JSON.stringify(controller.state)}`);
  return controller.state;
}

describe('inspecting', () => {
  it('shows the tokens with the offsets of the text', async () => {
    await controller.inspect(textSource('a\n b'));
    expect(shown().tokens).toEqual([
      { label: 'a', start: 0, end: 1, isSpecial: false, isLineEnd: false },
      { label: '↵', start: 1, end: 2, isSpecial: false, isLineEnd: true },
      { label: '·', start: 2, end: 3, isSpecial: false, isLineEnd: false },
      { label: 'b', start: 3, end: 4, isSpecial: false, isLineEnd: false },
    ]);
    expect(shown().document).toBe('none');
    expect(engine.of('attentionMap')).toEqual([]);
  });

  it('says how long a text is that is over the limit, and inspects its start when asked', async () => {
    const place = new ScriptedPlace();
    await controller.inspect(textSource('0123456789', place));
    expect(controller.state).toEqual({ kind: 'tooLong', title: 'a.txt, line 1', tokens: 10, hasMore: false, limit: 8 });
    expect(engine.of('inspect')).toEqual([]);
    await controller.inspectFirst();
    expect(engine.of('inspect')).toEqual([{ input: { kind: 'text', text: '01234567' }, priority: 'interactive' }]);
    expect(shown().notes).toEqual(['Only the first 8 of 10 tokens were inspected.']);
    expect(shown().document).toBe('live');
    await controller.retry();
    expect(shown().tokens).toHaveLength(8);
  });

  it('does not tokenise all of a very long text', async () => {
    await controller.inspect(textSource('x'.repeat(300_000)));
    expect(controller.state).toMatchObject({ kind: 'tooLong', tokens: 200_000, hasMore: true });
  });

  it('cuts a prompt with its answer by tokens', async () => {
    const input = { kind: 'text' as const, text: 'abcdef' };
    await controller.inspect({ title: 'Prompt', input, continuation: [103, 104, 105], notes: [] });
    expect(controller.state).toMatchObject({ kind: 'tooLong', tokens: 9 });
    await controller.inspectFirst();
    expect(engine.of('inspect')).toEqual([
      { input: { kind: 'ids', ids: [97, 98, 99, 100, 101, 102, 103, 104] }, priority: 'interactive' },
    ]);
  });

  it('is replaced by a newer one, whose state alone is shown', async () => {
    let open = () => {};
    engine.gate = new Promise((resolve) => {
      open = resolve;
    });
    const [first, second] = [new ScriptedPlace(), new ScriptedPlace()];
    const older = controller.inspect(textSource('old', first));
    const newer = controller.inspect(textSource('new', second));
    open();
    await Promise.all([older, newer]);
    expect(shown().tokens.map(({ label }) => label)).toEqual(['n', 'e', 'w']);
    expect([first.isDisposed, second.isDisposed]).toEqual([true, false]);
  });

  it('lets the engine forget a text that is replaced, but does not start a dead engine for that', async () => {
    await controller.inspect(textSource('a'));
    await controller.inspect(textSource('b'));
    expect(engine.of('closeInspection')).toEqual([{ inspectionId: 1 }]);
    engine.state = { kind: 'off' };
    controller.reset();
    expect(engine.of('closeInspection')).toHaveLength(1);
  });

  it('shows how the model is loaded', async () => {
    const done = controller.inspect(textSource('a'));
    for (const listener of engine.listeners)
      listener({ kind: 'loading', modelName: 'M', message: 'Reading model.onnx', fraction: 0.5 });
    await done;
    expect(states).toContainEqual({
      kind: 'loading',
      title: 'a.txt, line 1',
      message: 'Reading model.onnx',
      fraction: 0.5,
    });
  });

  it('stops when it is cancelled', async () => {
    const done = controller.inspect(textSource('a'));
    controller.cancel();
    await done;
    expect(controller.state).toEqual({ kind: 'empty' });
  });

  it('does not wait for ever when something else cancels it', async () => {
    engine.fail = { method: 'inspect', error: cancelled() };
    await controller.inspect(textSource('a'));
    expect(controller.state).toEqual({ kind: 'empty', hint: 'The inspection was cancelled.' });
  });

  it('shows an error, and the result after Retry', async () => {
    engine.fail = { method: 'inspect', error: new AppError('engine-died', 'The engine stopped. Run it again.') };
    await controller.inspect(textSource('a'));
    expect(controller.state).toEqual({
      kind: 'failed',
      title: 'a.txt, line 1',
      error: { code: 'engine-died', message: 'The engine stopped. Run it again.' },
    });
    engine.fail = undefined;
    await controller.retry();
    expect(shown().tokens).toHaveLength(1);
  });

  it('says when the attention of this model cannot be read', async () => {
    engine.state = { kind: 'ready', model: { ...model, inspectionRefused: 'Its logits changed by 0.1.' } };
    await controller.inspect(textSource('a'));
    expect(controller.state).toEqual({ kind: 'refused', reason: 'Its logits changed by 0.1.' });
    expect(engine.of('inspect')).toEqual([]);
  });
});

describe('heads', () => {
  it('come one at a time, and the last ones are kept', async () => {
    await controller.inspect(textSource('abc'));
    const { inspectionId } = shown();
    for (const head of [0, 1, 2, 3, 0, 1]) await controller.map(inspectionId, { stack: 0, layer: 1, head });
    expect(engine.of('attentionMap')).toHaveLength(4);
    for (const layer of [0, 2])
      for (const head of [0, 1, 2]) await controller.map(inspectionId, { stack: 0, layer, head });
    await controller.map(inspectionId, { stack: 0, layer: 1, head: 0 });
    expect(engine.of('attentionMap')).toHaveLength(11);
    expect(shown()).toMatchObject({ layer: 0, head: 0 }); // asking for a map chooses nothing
  });

  it('stay in view from one text to the next', async () => {
    await controller.inspect(textSource('abc'));
    await controller.choose(shown().inspectionId, 2, 3);
    await controller.inspect(textSource('def'));
    expect(shown()).toMatchObject({ layer: 2, head: 3 });
  });

  it('turn into an error with Retry when the engine has lost the text', async () => {
    await controller.inspect(textSource('abc'));
    engine.fail = { method: 'attentionMap', error: new AppError('bad-input', 'Inspect the text again.') };
    await expect(controller.map(shown().inspectionId, { stack: 0, layer: 0, head: 0 })).rejects.toThrow(
      'Inspect the text again.',
    );
    expect(controller.state).toMatchObject({ kind: 'failed' });
    engine.fail = undefined;
    await controller.retry();
    expect(shown().tokens).toHaveLength(3);
  });
});

describe('shading', () => {
  let place: ScriptedPlace;
  beforeEach(async () => {
    place = new ScriptedPlace();
    await controller.inspect(textSource('abcd', place));
  });

  it('paints what a token attends to, with the numbers, and reveals the token', async () => {
    await controller.shade(shown().inspectionId, 1, 'attends');
    expect(place.painting?.shades).toMatchObject([
      { start: 0, end: 1, weight: 0.5, level: 10 },
      { start: 1, end: 2, weight: 0.5, level: 10 },
    ]);
    expect(place.painting?.shades[0]?.hover).toContain('Token 1 “b” attends to token 0 “a” with weight 0.5000.');
    expect(place.painting?.mark).toMatchObject({ start: 1, end: 2 });
    expect(place.revealed).toEqual([1, 2]);
    expect(shown().shading).toEqual({ token: 1, direction: 'attends' });
  });

  it('paints what attends to a token', async () => {
    await controller.shade(shown().inspectionId, 2, 'attended');
    expect(place.painting?.shades).toMatchObject([
      { start: 2, end: 3, weight: expect.closeTo(1 / 3) },
      { start: 3, end: 4, weight: 0.25, level: 9 },
    ]);
    expect(place.painting?.shades[1]?.hover).toContain('Token 3 “d” attends to token 2 “c” with weight 0.2500.');
    expect(controller.report()?.shades.map(({ text }) => text)).toEqual(['c', 'd']);
  });

  it('follows the head in view', async () => {
    await controller.shade(shown().inspectionId, 1, 'attends');
    place.painting = undefined;
    await controller.choose(shown().inspectionId, 2, 1);
    expect(place.painting).toBeDefined();
    expect(controller.report()).toMatchObject({ token: 1, layer: 2, head: 1 });
  });

  it.each(['changed', 'closed'] as const)('goes when the document is %s', async (status) => {
    await controller.shade(shown().inspectionId, 1, 'attends');
    place.become(status);
    expect(place.painting).toBeUndefined();
    expect(shown().document).toBe(status);
    expect(shown().shading).toBeUndefined();
  });

  it('finds the token at the cursor, also at the very end', () => {
    for (const [cursor, token] of [
      [0, 0],
      [3, 3],
      [4, 3],
      [undefined, undefined],
    ] as const) {
      place.cursor = cursor;
      expect(controller.tokenAtCursor()).toBe(token);
    }
  });

  it('is cleared on demand and with the next text', async () => {
    await controller.shade(shown().inspectionId, 1, 'attends');
    controller.clearShading();
    expect([place.painting, shown().shading]).toEqual([undefined, undefined]);
    await controller.shade(shown().inspectionId, 1, 'attends');
    await controller.inspect(textSource('x'));
    expect([place.painting, place.isDisposed]).toEqual([undefined, true]);
  });
});

describe('a head is tested', () => {
  const signal = new AbortController().signal;
  const operations = () => engine.of('causalTest') as { input: PromptInput; measure: unknown; operation: unknown }[];
  const ids = (text: string) => [...text].map((character) => character.codePointAt(0));

  it('on the text up to the token, by the probability of the one that follows', async () => {
    await controller.inspect(textSource('ab c'));
    const { inspectionId } = shown();
    const found = await controller.testHead(inspectionId, { layer: 2, head: 1, token: 1 }, signal);
    expect(found).toMatchObject({ layer: 2, head: 1, token: 1, target: '·', isInText: true });
    const heads = [{ layer: 2, head: 1 }];
    const input = { kind: 'ids', ids: ids('ab') };
    const measure = { kind: 'probability', token: 32 };
    expect(operations()).toMatchObject([
      { input, measure, operation: { kind: 'zero', heads, positions: 'all' } },
      { input, measure, operation: { kind: 'mean', heads, reference: [ids('ab')], over: 'all-positions' } },
    ]);
    expect(engine.of('score')).toEqual([]);
  });

  it('behind the last token by that of the most probable one', async () => {
    await controller.inspect(textSource('abc'));
    const found = await controller.testHead(shown().inspectionId, { layer: 0, head: 0, token: 2 }, signal);
    expect(found).toMatchObject({ target: 'z', isInText: false });
    expect(operations()[0]).toMatchObject({ measure: { token: 122 }, input: { ids: ids('abc') } });
  });

  it('never of a text that is not shown any more', async () => {
    await controller.inspect(textSource('abc'));
    const { inspectionId } = shown();
    await controller.inspect(textSource('x'));
    const late = async () => controller.testHead(inspectionId, { layer: 0, head: 0, token: 0 }, signal);
    await expect(late()).rejects.toMatchObject({ code: 'bad-input' });
    expect(engine.of('causalTest')).toEqual([]);
  });
});

describe('a translator', () => {
  beforeEach(() => {
    engine.answer = 'xy';
    engine.state = { kind: 'ready', model: { ...model, kind: 'encoder-decoder' } };
  });

  it('shows three attentions, and each with a head that it has', async () => {
    await controller.inspect(textSource('abc'));
    expect(shown()).toMatchObject({ stack: 0, layers: 2, heads: 4 });
    expect(shown().target?.map(({ label }) => label)).toEqual(['x', 'y']);
    await controller.choose(shown().inspectionId, 1, 3);
    controller.chooseStack(shown().inspectionId, 2);
    expect(shown()).toMatchObject({ stack: 2, layers: 1, heads: 2, layer: 0, head: 1 });
    controller.chooseStack(shown().inspectionId, 7);
    expect(shown().stack).toBe(2);
    await controller.map(shown().inspectionId, { stack: 2, layer: 0, head: 1 });
    expect(engine.of('attentionMap').at(-1)).toMatchObject({ stack: 2, layer: 0, head: 1 });
  });

  it('shades in the editor what a token of the answer attends to, and marks nothing there', async () => {
    const place = new ScriptedPlace();
    await controller.inspect(textSource('abc', place));
    controller.chooseStack(shown().inspectionId, 2);
    await controller.shade(shown().inspectionId, 1, 'attends');
    expect(place.painting?.shades).toMatchObject([{ start: 1, end: 2, weight: 1 }]);
    expect(place.painting?.shades[0]?.hover).toContain('Token 1 “y” attends to token 1 “b” with weight 1');
    expect(place.painting?.mark).toMatchObject({ start: 0, end: 0 });
    expect(place.revealed).toBeUndefined();
    await controller.shade(shown().inspectionId, 0, 'attended');
    expect(place.painting?.shades).toEqual([]);
    expect(place.painting?.mark).toMatchObject({ start: 0, end: 1 });
    expect(controller.report()?.shades).toMatchObject([{ text: 'x', weight: 1 }]);
  });

  it('paints nothing where the answer attends to itself, and forgets the shades of another attention', async () => {
    const place = new ScriptedPlace();
    await controller.inspect(textSource('abc', place));
    await controller.shade(shown().inspectionId, 2, 'attends');
    expect(place.painting).toBeDefined();
    controller.chooseStack(shown().inspectionId, 1);
    expect(place.painting).toBeUndefined();
    expect(shown().shading).toBeUndefined();
    await controller.shade(shown().inspectionId, 1, 'attends');
    expect(place.painting).toBeUndefined();
    await controller.shade(shown().inspectionId, 2, 'attends'); // the answer has two tokens
    expect(shown().shading).toEqual({ token: 1, direction: 'attends' });
  });

  it('is given the second text, which another model is not', async () => {
    await controller.inspect({ ...textSource('abc'), target: 'uv' });
    expect(engine.of('inspect').at(-1)).toMatchObject({ target: { kind: 'text', text: 'uv' } });
    engine.answer = undefined;
    engine.state = { kind: 'ready', model: { ...model, kind: 'decoder' } };
    await controller.inspect({ ...textSource('abc'), target: 'uv' });
    expect(engine.of('inspect').at(-1)).not.toHaveProperty('target');
    expect(shown().notes).toEqual(['The second text was not used: this model does not write an answer to a text.']);
  });
});

describe('a picture', () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const picture: Source = { title: 'cat.png', input: { kind: 'picture', bytes }, notes: [] };

  it('goes to the model as a file, and its pixels come when they are asked for', async () => {
    await controller.inspect(picture);
    expect(engine.of('inspectPicture')).toEqual([{ bytes, priority: 'interactive' }]);
    expect(shown()).toMatchObject({
      picture: { rows: 2, columns: 2, firstPatch: 1 },
      document: 'none',
      notes: ['Not shown: 1 attentions inside windows.'],
    });
    expect(shown().picture).not.toHaveProperty('pixels');
    expect(controller.picture(shown().inspectionId).pixels).toHaveLength(16);
    await controller.inspect(textSource('a'));
    expect(() => controller.picture(shown().inspectionId)).toThrow('no picture');
  });

  it('of a model that reads none is refused in its own words', async () => {
    const error = new AppError('model-unsupported', 'This model reads text and no pictures.');
    engine.fail = { method: 'inspectPicture', error };
    await controller.inspect(picture);
    expect(controller.state).toEqual({ kind: 'refused', reason: 'This model reads text and no pictures.' });
  });
});
