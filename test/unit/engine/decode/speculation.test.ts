/** Drafts change how many passes an answer takes, and nothing else. */
import { describe, expect, test } from 'vitest';
import type { GenerateRequest, TokenStep } from '../../../../src/shared/engine-contract.ts';
import { Sampler } from '../../../../src/shared/sampling/sampler.ts';
import { TokenHistory } from '../../../../src/shared/sampling/token-history.ts';
import { greedySampling } from '../../../../src/shared/sampling-settings.ts';
import { generateAnswer } from '../../../../webview/engine/decode/answer.ts';
import { Drafter } from '../../../../webview/engine/decode/drafter.ts';
import { SpellingTable } from '../../../../webview/engine/decode/healing.ts';
import { PassTimes } from '../../../../webview/engine/decode/pass-times.ts';
import { PrefixCache } from '../../../../webview/engine/decode/prefix-cache.ts';
import { TokenPasses } from '../../../../webview/engine/decode/token-passes.ts';
import type { Decoder } from '../../../../webview/engine/decoder.ts';
import { bundledCodec } from '../../support/bundled-model.ts';
import { NgramDecoder } from '../../support/ngram-decoder.ts';
import { loadSmall } from '../../support/small-runtime.ts';
import { chiSquareLimit } from '../../support/statistics.ts';

const codec = bundledCodec();
const spelling = new SpellingTable(codec.tokenBytes);
const end = 2;
const idsOf = (text: string) => codec.encode({ kind: 'text', text }).tokens.map(({ id }) => id);
const setter = (name: string) =>
  `  set ${name}(value) {\n    this.check('${name}', value);\n    this._${name} = value;\n  }\n`;
const repetitive = `class Point {\n${['x', 'y', 'width', 'height', 'depth'].map(setter).join('')}}\n// 🎉 日本\n`;
const plain =
  'The clock in the hall strikes twelve while a brown fox jumps over lazy dogs; naïve 🎉 and 日本, then rain.\n';

class BatchDecoder extends NgramDecoder {
  readonly batchedCost: number;
  passes: (readonly number[])[] = [];

  constructor(text: string, batchedCost = 0.1) {
    super([...idsOf(text), end], { maxChunk: 12, contextLength: 600 });
    this.batchedCost = batchedCost;
    this.onForward = (tokens) => void this.passes.push(tokens);
  }
}

function withBatchedCost(decoder: Decoder, batchedCost: number): Decoder {
  return new Proxy(decoder, {
    get(target, key) {
      if (key === 'batchedCost') return batchedCost;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

type Change = Omit<Partial<GenerateRequest>, 'sampling'> & { sampling?: Partial<GenerateRequest['sampling']> };

function partsOf(decoder: Decoder) {
  const caches = new PrefixCache(decoder, 1e9);
  return { decoder, codec, caches, endIds: new Set([end]), spelling: () => spelling };
}

async function answer(
  parts: ReturnType<typeof partsOf>,
  { sampling, ...change }: Change,
  controller = new AbortController(),
) {
  const steps: TokenStep[] = [];
  const request: GenerateRequest = {
    ...{ input: { kind: 'text', text: '' }, priority: 'interactive', overflow: 'refuse', details: true },
    ...change,
    sampling: { ...greedySampling, maxTokens: 70, ...sampling },
  };
  const result = await generateAnswer(parts, request, {
    turn: { signal: controller.signal, pause: async () => controller.signal.throwIfAborted() },
    onProgress: (value) => {
      if (value.kind === 'tokens') steps.push(...value.steps);
    },
    freshSeed: () => 99,
    queuedMs: 0,
  });
  return { result, steps };
}

/** The same request with and without drafts, each with a decoder of its own. */
async function both(text: string, change: Change) {
  const decoders = [new BatchDecoder(text), new BatchDecoder(text)] as const;
  const [drafted, single] = [partsOf(decoders[0]), partsOf(decoders[1])];
  return {
    drafted: await answer(drafted, { ...change, speculation: true }),
    single: await answer(single, change),
    decoders,
    parts: drafted,
  };
}

const ofText = ({ result, steps }: Awaited<ReturnType<typeof answer>>) => ({
  ...{ text: result.text, finish: result.finish, generated: result.generatedTokens, seed: result.seed, steps },
});

const upTo = (text: string, mark: string) => ({ kind: 'text', text: text.slice(0, text.indexOf(mark)) }) as const;
const stopAt = (...stop: string[]) => ({ sampling: { stop } });
const drawn = (seed: number, temperature: number) => ({ sampling: { seed, temperature, maxTokens: 60 } });

type Case = readonly [text: string, mark: string, change: Change];

describe('gives the same answer, step by step', () => {
  const repeating: Record<string, Case> = {
    'greedily where the text repeats': [repetitive, ' width', {}],
    'greedily from its beginning': [repetitive, ' Point', {}],
    'with penalties': [repetitive, ' width', { sampling: { repetitionPenalty: 1.3, presencePenalty: 0.5 } }],
    'before a stop string that a draft goes across': [repetitive, ' width', stopAt('value);\n    this._w')],
    'before a stop string inside a token': [repetitive, ' width', stopAt('eck(')],
    'with the first letters given': [repetitive, 'set width', { heal: 'set wid' }],
    'up to a number of tokens inside a draft': [repetitive, ' width', { sampling: { maxTokens: 14 } }],
    'drawn, seed 1': [repetitive, ' width', drawn(1, 1)],
    'drawn, seed 2': [repetitive, ' width', drawn(2, 1)],
    'drawn, seed 3': [repetitive, ' width', drawn(3, 1)],
  };
  const other: Record<string, Case> = {
    'greedily where nothing repeats': [plain, ' strikes', {}],
    'drawn where nothing repeats': [plain, ' strikes', drawn(9, 1.5)],
    'drawn hot, seed 5': [repetitive, ' width', drawn(5, 2.5)],
    'drawn hot, seed 6': [repetitive, ' width', drawn(6, 2)],
    'before a line break': [repetitive, ' = value;\n  }\n  set height', stopAt('\n')],
    'with first letters that the draft does not have': [repetitive, ' width', { heal: '🏳️‍🌈zzz' }],
    'of one token': [repetitive, ' width', { sampling: { maxTokens: 1 } }],
  };
  const cases = [
    ...Object.entries(repeating).map(([name, one]) => [name, one, 1] as const),
    ...Object.entries(other).map(([name, one]) => [name, one, 0] as const),
  ];
  test.each(cases)('%s', async (_name, [text, mark, change], leastAccepted) => {
    const { drafted, single } = await both(text, { input: upTo(text, mark), ...change });
    expect(ofText(drafted)).toEqual(ofText(single));
    expect(drafted.result.acceptedTokens).toBeGreaterThanOrEqual(leastAccepted);
    expect(single.result.draftedTokens).toBeUndefined();
  });

  test('to the end of the context, and no token beyond it', async () => {
    const [drafted, single] = [1, 2].map(() => new NgramDecoder([...idsOf(repetitive), end], { contextLength: 130 }));
    const input = upTo(repetitive, ' height');
    const one = await answer(partsOf(withBatchedCost(drafted!, 0.1)), { input, speculation: true });
    const other = await answer(partsOf(single!), { input });
    expect(ofText(one)).toEqual(ofText(other));
    expect(one.result.finish).toBe('context');
    expect(one.result.acceptedTokens).toBeGreaterThan(0);
  });

  test.each([0, 1])('of a real runtime, temperature %d', async (temperature) => {
    const { decoder } = await loadSmall();
    const ids = Array.from({ length: 24 }, (_, i) => 3 + (i % 6));
    for (let seed = 1; seed <= 6; seed++) {
      const change: Change = { input: { kind: 'ids', ids }, sampling: { temperature, seed, maxTokens: 30, topK: 4 } };
      const single = await answer(partsOf(decoder), change);
      const batched = withBatchedCost(decoder, 0.05);
      const drafted = await answer(partsOf(batched), { ...change, speculation: true });
      expect(drafted.result.text).toBe(single.result.text);
      expect(drafted.steps.map(({ id }) => id)).toEqual(single.steps.map(({ id }) => id));
      expect(drafted.result.draftedTokens).toBeGreaterThan(0);
    }
    await decoder.dispose();
  });
});

describe('takes', () => {
  const input = upTo(repetitive, ' width');

  test('fewer passes where the text repeats', async () => {
    const { drafted, decoders } = await both(repetitive, { input });
    const { generatedTokens, draftedTokens, acceptedTokens } = drafted.result;
    expect(decoders[0].passes.length).toBeLessThan(decoders[1].passes.length * 0.6);
    const prompt = Math.ceil(drafted.result.promptTokens / 12);
    expect(decoders[0].passes.length).toBe(prompt + generatedTokens - 1 - acceptedTokens!);
    expect(acceptedTokens).toBeLessThanOrEqual(draftedTokens!);
  });

  test('no drafts where a batch saves nothing', async () => {
    const decoder = new BatchDecoder(repetitive, 1);
    const { result } = await answer(partsOf(decoder), { input, speculation: true });
    expect(result).toMatchObject({ draftedTokens: 0, acceptedTokens: 0 });
    expect(decoder.counters.forwardedTokens).toBe(result.promptTokens + result.generatedTokens - 1);
  });

  test('few where they do not come true', async () => {
    const decoder = new BatchDecoder(plain, 0.25);
    const words = Array.from({ length: 60 }, (_, i) => 1000 + ((i * 7) % 20));
    const sampling = { temperature: 5, seed: 1, maxTokens: 100, topK: 300, logitBias: { [end]: -100 } };
    const { result } = await answer(partsOf(decoder), {
      input: { kind: 'ids', ids: words },
      sampling,
      speculation: true,
    });
    expect(result.generatedTokens).toBe(100);
    expect(result.draftedTokens! * 0.25).toBeLessThan(5);
  });

  test.each([
    ['inline', undefined, true],
    ['interactive', undefined, false],
    ['interactive', true, true],
    ['inline', false, false],
  ] as const)('drafts or none: priority %s, asked %s', async (priority, speculation, expected) => {
    const change = { input, priority, ...(speculation !== undefined && { speculation }) };
    const { result } = await answer(partsOf(new BatchDecoder(repetitive)), change);
    expect((result.draftedTokens ?? 0) > 0).toBe(expected);
  });
});

describe('leaves in the cache what belongs there', () => {
  const input = upTo(repetitive, ' width');

  test.each<[string, Change]>([
    ['the end token', {}],
    ['a number of tokens', { sampling: { maxTokens: 13 } }],
    ['a stop string', stopAt('.check')],
  ])('after %s', async (_name, change) => {
    const { drafted, single, parts } = await both(repetitive, { input, ...change });
    const ids = [...idsOf(input.text), ...drafted.steps.map(({ id }) => id), 5];
    const lease = parts.caches.take(ids);
    expect((lease.cache as unknown as { ids: number[] }).ids).toEqual(ids.slice(0, lease.reused));
    expect(lease.reused).toBeGreaterThanOrEqual(ids.length - 2);
    expect(single.result.finish).toBe(drafted.result.finish);
    expect(drafted.result.acceptedTokens).toBeGreaterThan(0);
  });

  test('after a request that was cancelled in the middle of drafts', async () => {
    const controller = new AbortController();
    const decoder = new BatchDecoder(repetitive);
    const parts = partsOf(decoder);
    let drafts = 0;
    decoder.onForward = (tokens) => {
      decoder.passes.push(tokens);
      const isPrompt = decoder.counters.forwardedTokens + tokens.length <= idsOf(input.text).length;
      if (!isPrompt && tokens.length > 1 && ++drafts === 3) controller.abort();
    };
    await expect(answer(parts, { input, speculation: true }, controller)).rejects.toThrow();
    const { steps } = await answer(partsOf(new BatchDecoder(repetitive)), { input });
    const whole = [...idsOf(input.text), ...steps.map(({ id }) => id)];
    const lease = parts.caches.take(whole);
    expect((lease.cache as unknown as { ids: number[] }).ids).toEqual(whole.slice(0, lease.reused));
    expect(lease.reused).toBeGreaterThan(idsOf(input.text).length + 3);
  });
});

test('draws the token behind an accepted draft as the probabilities say', async () => {
  const rows = [
    [0, 1, 2, 0.5, 0],
    [1.5, 0, 1, 2, 0],
    [0, 1, 0, 1, 2],
    [2, 0.2, 1, 0, 0.7],
    [1, 1, 0, 1.3, 0],
  ];
  const counts = [0, 0, 0, 0, 0];
  const settings = { ...greedySampling, temperature: 1 };
  const prompt = [0, 2, 4, 3, 0, 2, 4, 3, 0, 2];
  for (let seed = 0; seed < 6000; seed++) {
    const { passes, drafter } = markovPasses(rows, prompt);
    const sampler = new Sampler(settings, seed, 5);
    const history = new TokenHistory(prompt);
    const drawnIds: number[] = [];
    for (let i = 0; i < 3; i++) {
      const { id } = sampler.draw(passes.logits, { history, details: false });
      drawnIds.push(id);
      await passes.advance(id, 10);
    }
    passes.settle();
    // 4 is drawn, 3 is the accepted draft behind it, and the third comes from the logits of the same pass.
    if (drawnIds[0] !== 4 || drawnIds[1] !== 3) continue;
    expect(drafter.acceptedTokens).toBeGreaterThan(0);
    counts[drawnIds[2] as number]!++;
  }
  const seen = counts.reduce((a, b) => a + b);
  const total = rows[3]!.reduce((sum, logit) => sum + Math.exp(logit), 0);
  const chiSquare = rows[3]!.reduce((sum, logit, id) => {
    const expected = (seen * Math.exp(logit)) / total;
    return sum + (counts[id]! - expected) ** 2 / expected;
  }, 0);
  expect(seen).toBeGreaterThan(500);
  expect(chiSquare).toBeLessThan(chiSquareLimit(4));
});

/** Passes of a model in which the next token depends on the last alone. */
function markovPasses(rows: readonly (readonly number[])[], prompt: readonly number[]) {
  const cache = {
    ...{ length: prompt.length, sizeBytes: 0, fork: () => cache, dispose: () => {} },
    crop(length: number) {
      cache.length = length;
    },
  };
  const logitsOf = (ids: readonly number[]) => Float32Array.from(ids.flatMap((id) => [...rows[id]!]));
  const decoder: ConstructorParameters<typeof TokenPasses>[1]['decoder'] = {
    ...{ vocabSize: rows.length, contextLength: 1000, maxChunk: 100 },
    forward: async (_cache, ids, { logits }) => {
      cache.length += ids.length;
      return { logits: logitsOf(logits === 'all' ? ids : ids.slice(-1)), taps: [] };
    },
  };
  const times = new PassTimes(0.05);
  const drafter = new Drafter(prompt, { times, isLast: () => false });
  const turn = { signal: new AbortController().signal, pause: async () => {} };
  return { passes: new TokenPasses(logitsOf(prompt.slice(-1)), { decoder, cache, turn, times, drafter }), drafter };
}
