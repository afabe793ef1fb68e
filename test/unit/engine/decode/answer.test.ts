/** The decode loop over a small real decoder and the bundled model's own tokenizer: no model needed. */
import { beforeEach, describe, expect, test } from 'vitest';
import type {
  ChatMessage,
  GenerateProgress,
  GenerateRequest,
  TokenStep,
} from '../../../../src/shared/engine-contract.ts';
import { greedySampling } from '../../../../src/shared/sampling-settings.ts';
import { type AnswerParts, generateAnswer } from '../../../../webview/engine/decode/answer.ts';
import { SpellingTable } from '../../../../webview/engine/decode/healing.ts';
import { PrefixCache } from '../../../../webview/engine/decode/prefix-cache.ts';
import { scoreTokens } from '../../../../webview/engine/decode/score.ts';
import { bundledCodec } from '../../support/bundled-model.ts';
import { NgramDecoder } from '../../support/ngram-decoder.ts';

const codec = bundledCodec();
const spelling = new SpellingTable(codec.tokenBytes);
const end = 2;
const idsOf = (text: string) => codec.encode({ kind: 'text', text }).tokens.map(({ id }) => id);
const story =
  'def total(items):\n    result = 0\n    for item in items:\n        result += item.price\n    return result # 🎉 naïve 日本\n';

let decoder: NgramDecoder;
let parts: AnswerParts;
function use(text: string, options: Partial<NgramDecoder> = {}) {
  decoder = new NgramDecoder([...idsOf(text), end], options);
  parts = { decoder, codec, caches: new PrefixCache(decoder, 1e9), endIds: new Set([end]), spelling: () => spelling };
}
beforeEach(() => use(story));

type Change = Omit<Partial<GenerateRequest>, 'sampling'> & { sampling?: Partial<GenerateRequest['sampling']> };

async function answer(prompt: string, { sampling, ...change }: Change = {}, controller = new AbortController()) {
  const steps: TokenStep[] = [];
  const progress: GenerateProgress[] = [];
  const request: GenerateRequest = {
    input: { kind: 'text', text: prompt },
    priority: 'interactive',
    overflow: 'refuse',
    details: true,
    ...change,
    sampling: { ...greedySampling, ...sampling },
  };
  const pause = async () => {
    if (controller.signal.aborted) throw new DOMException('', 'AbortError');
  };
  const result = await generateAnswer(parts, request, {
    turn: { signal: controller.signal, pause },
    onProgress: (value) => {
      progress.push(value);
      if (value.kind === 'tokens') steps.push(...value.steps);
    },
    freshSeed: () => 99,
    queuedMs: 0,
  });
  return { result, steps, progress };
}

const prompt = 'def total(items):\n    result';
const rest = story.slice(prompt.length);

test('continues to the end token, and the steps spell the answer, byte for byte', async () => {
  const { result, steps } = await answer(prompt);
  expect(result).toMatchObject({ text: rest, finish: 'end', seed: 99, cutTokens: 0 });
  expect(steps.map(({ text }) => text).join('')).toBe(rest);
  expect(steps.map(({ text }) => text).join('')).not.toContain('\ufffd');
  const bytes = Buffer.from(rest);
  let position = 0;
  for (const { id, startByte, endByte } of steps) {
    expect(startByte).toBe(position);
    expect([...bytes.subarray(startByte, endByte)]).toEqual([...codec.tokenBytes[id]!]);
    position = endByte;
  }
  expect(position).toBe(bytes.length);
  expect(steps.at(-1)).toMatchObject({ id: end, text: '' });
});

test('stops at a number of tokens, and is continued where it stopped, inside a character too', async () => {
  const before = story.slice(0, story.indexOf('🎉') - 1);
  const first = await answer(before, { sampling: { maxTokens: 2 } });
  expect(first.result.finish).toBe('length');
  expect(first.result.text).not.toContain('\ufffd');
  const continuation = first.steps.map(({ id }) => id);
  const second = await answer(before, { continuation });
  expect(first.result.text + second.result.text).toBe(story.slice(before.length));
  expect(second.result.computedTokens).toBe(1);
});

test('stops where the context ends', async () => {
  use(story, { contextLength: idsOf(prompt).length + 3 });
  const { result } = await answer(prompt);
  expect(result).toMatchObject({ finish: 'context', generatedTokens: 3 });
});

describe('stop strings', () => {
  test.each(['\n    for', 'tem in', 'result += item.price\n    ret', '🎉'])(
    'end the answer before %j',
    async (stop) => {
      const { result, steps } = await answer(prompt, { sampling: { stop: ['never', stop] } });
      const expected = rest.slice(0, rest.indexOf(stop));
      expect(result).toMatchObject({ text: expected, finish: 'stop' });
      expect(steps.map(({ text }) => text).join('')).toBe(expected);
      // A token that also begins the character of the stop string had been handed out as it is.
      const beyond = steps.at(-1)!.endByte - Buffer.from(expected).length;
      expect(beyond).toBe(stop === '🎉' ? 2 : 0);
    },
  );

  test('that begin but do not end hold nothing back for good', async () => {
    const { result, steps } = await answer(prompt, { sampling: { stop: ['for item in itemsX', 'result\n\n'] } });
    expect(result).toMatchObject({ text: rest, finish: 'end' });
    expect(steps.map(({ text }) => text).join('')).toBe(rest);
  });
});

describe('the prefix cache', () => {
  test('computes nothing twice: the same prompt, a longer one, a branch from the middle of the answer', async () => {
    const first = await answer(prompt);
    const length = idsOf(prompt).length;
    expect(first.result).toMatchObject({ promptTokens: length, reusedTokens: 0, computedTokens: length });
    expect(decoder.counters.forwardedTokens).toBe(length + first.steps.length - 1);

    expect((await answer(prompt)).result).toMatchObject({ text: rest, reusedTokens: length - 1, computedTokens: 1 });

    const continuation = first.steps.slice(0, 10).map(({ id }) => id);
    const before = decoder.counters.forwardedTokens;
    const branch = await answer(prompt, { continuation, sampling: { maxTokens: 1 } });
    expect(branch.result).toMatchObject({ reusedTokens: length + 9, computedTokens: 1 });
    expect(decoder.counters.forwardedTokens - before).toBe(1);
  });

  test('gives the same answer as computing it all', async () => {
    await answer(prompt);
    const { result } = await answer(`${prompt} = 0\n    for`);
    use(story);
    expect((await answer(`${prompt} = 0\n    for`)).result.text).toBe(result.text);
  });

  test('keeps what a cancelled request had computed', async () => {
    const controller = new AbortController();
    decoder.onForward = () => {
      if (decoder.counters.forwardedTokens >= 8) controller.abort();
    };
    const long = story.slice(0, 120);
    await expect(answer(long, {}, controller)).rejects.toThrow();
    const computed = decoder.counters.forwardedTokens;
    expect(computed).toBeLessThan(idsOf(long).length);
    expect(computed).toBeLessThanOrEqual(16); // within one chunk
    expect((await answer(long, { sampling: { maxTokens: 1 } })).result.reusedTokens).toBe(computed);
  });

  test('does not keep what a failed run left behind', async () => {
    decoder.onForward = () => {
      throw new Error('The runtime broke.');
    };
    await expect(answer(prompt)).rejects.toThrow('broke');
    expect(parts.caches.count).toBe(0);
  });
});

describe('healing', () => {
  test.each(['result', 're', ' item.pri', 'for it', '\n    f', '日'])('spells %j first', async (heal) => {
    const at = story.indexOf(heal, 30);
    const { result } = await answer(story.slice(0, at), { heal, sampling: { maxTokens: 12 } });
    expect(result.text.startsWith(heal)).toBe(true);
  });

  test('spells what the model would never say', async () => {
    const { result } = await answer(prompt, { heal: 'Ωx🏳️‍🌈', sampling: { maxTokens: 16, temperature: 1 } });
    expect(result.text.startsWith('Ωx🏳️‍🌈')).toBe(true);
  });

  test('allows the tokens that a search of the whole vocabulary finds', () => {
    for (const text of [' pri', 'result', '日', '\n\n', '🎉!']) {
      const wanted = Buffer.from(text);
      const expected = codec.tokenBytes.flatMap((bytes, id) => {
        const shared = Math.min(bytes.length, wanted.length);
        return shared > 0 && Buffer.compare(bytes.subarray(0, shared), wanted.subarray(0, shared)) === 0 ? [id] : [];
      });
      expect(spelling.allowed(wanted)).toEqual(expected);
    }
  });
});

describe('a prompt that is too long', () => {
  const long = `${'line of text\n'.repeat(60)}`;
  beforeEach(() => use(story, { contextLength: 100 }));

  test('is refused, saying by how much', async () => {
    const excess = idsOf(long).length - 99;
    await expect(answer(long)).rejects.toMatchObject({
      code: 'context-overflow',
      message: expect.stringContaining(`${excess} tokens too long`),
    });
  });

  test('is cut at the start when asked for, with room for the answer', async () => {
    const { result } = await answer(long, { overflow: 'cut-start', sampling: { maxTokens: 10 } });
    expect(result.promptTokens).toBe(90);
    expect(result.cutTokens).toBe(idsOf(long).length - 90);
  });

  test('as a conversation loses its oldest turns, then material, and keeps its template', async () => {
    const messages = [
      { role: 'user', content: 'An old question.' },
      { role: 'assistant', content: 'An old answer.' },
      { role: 'user', content: `Explain this:\n\n${long}The end.` },
    ] satisfies ChatMessage[];
    const seen: number[] = [];
    decoder.onForward = (tokens) => seen.push(...tokens);
    const input = { kind: 'chat' as const, messages };
    const { result } = await answer('', { input, overflow: 'cut-start', sampling: { maxTokens: 4 } });
    expect(result.cutTokens).toBeGreaterThan(0);
    const { text } = codec.encode({ kind: 'ids', ids: seen.slice(0, result.promptTokens) });
    expect(text).toMatch(/^<\|im_start\|>system\n.*<\|im_end\|>\n<\|im_start\|>user\nExplain this:\n\n/s);
    expect(text.endsWith('The end.<|im_end|>\n<|im_start|>assistant\n')).toBe(true);
    expect(text).not.toContain('old');
  });

  test('is not confused with an empty one', async () => {
    await expect(answer('')).rejects.toMatchObject({ code: 'bad-input' });
  });
});

test('draws the same answer for the same seed', async () => {
  const draw = async (seed: number) =>
    (await answer(prompt, { sampling: { temperature: 3, seed, maxTokens: 12 } })).result.text;
  expect(await draw(5)).toBe(await draw(5));
  expect(await draw(5)).not.toBe(await draw(6));
});

test('reports prefill chunk by chunk', async () => {
  const { progress, result } = await answer(story.slice(0, 100), { sampling: { maxTokens: 1 } });
  const done = progress.flatMap((value) => (value.kind === 'prefill' ? [value.done] : []));
  expect(done[0]).toBe(0);
  expect(done.at(-1)).toBe(result.promptTokens);
  expect(done.length).toBe(Math.ceil(result.promptTokens / 8) + 1);
});

test('scores tokens that are already there', async () => {
  const ids = idsOf(story);
  const turn = { signal: new AbortController().signal, pause: async () => {} };
  const request = { ids, priority: 'background', top: 2, wanted: ids.map((id) => [id]) } as const;
  const wanted = request.wanted.map((list) => [...list]);
  const result = await scoreTokens(decoder, { ...request, wanted }, { turn, onProgress: () => {} });
  for (const [i, next] of ids.slice(1).entries()) {
    if (i < 5) continue; // the table is sure only after a few
    expect(result.topIds[i * 2]).toBe(next);
    expect(result.topLogprobs[i * 2]).toBeCloseTo(result.nextLogprobs[i]!, 6);
  }
  expect(result.wantedLogprobs.length).toBe(ids.length);
});
