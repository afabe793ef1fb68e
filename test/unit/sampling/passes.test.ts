/** Vocabularies of more than one block: the same results as on a plain sorted list. */
import { describe, expect, test } from 'vitest';
import { Candidates } from '../../../src/shared/sampling/candidates.ts';
import { topIds } from '../../../src/shared/sampling/distribution.ts';
import { filters } from '../../../src/shared/sampling/filters.ts';
import { expBelow, largest, limitOfTop, sumExps } from '../../../src/shared/sampling/passes.ts';
import { TokenHistory } from '../../../src/shared/sampling/token-history.ts';
import { greedySampling, type SamplingSettings } from '../../../src/shared/sampling-settings.ts';
import { createRandom } from '../support/random.ts';
import { referenceFilter } from './reference-sampler.ts';

const size = 6151; // three blocks and seven
const past = { prompt: [3, 5, 5, 8, 4000], answer: [5, 7, 7, 7, 6150] };

const kinds: Record<string, (random: () => number, id: number) => number> = {
  ordinary: (random) => 12 * (random() + random() + random() - 1.5),
  'on a grid': (random) => Math.round(6 * (random() + random() - 1)),
  'all equal': () => 1,
  'partly impossible': (random) => (random() < 0.4 ? -Infinity : 8 * random()),
  rising: (_random, id) => id / 500,
  'far apart': (_random, id) => (id % 3 === 0 ? 1e4 : -1e4),
};
const logitsOf = (kind: string, seed = 1) => {
  const random = createRandom(seed);
  return Float32Array.from({ length: size }, (_, id) => kinds[kind]!(random, id));
};

test('exp is right to 12 digits', () => {
  for (let x = 0; x > -64; x -= 0.00731) expect(Math.abs(expBelow(x) / Math.exp(x) - 1)).toBeLessThan(3e-13);
  expect([expBelow(0), expBelow(-64.5), expBelow(-Infinity)]).toEqual([1, 0, 0]);
});

describe.each(Object.keys(kinds))('logits %s', (kind) => {
  const logits = logitsOf(kind);
  const sorted = [...logits].map((logit, id) => ({ logit, id })).sort((a, b) => b.logit - a.logit || a.id - b.id);

  test('the largest, and the sum of their exponentials', () => {
    const max = largest(logits, size);
    expect(max).toBe(sorted[0]!.logit);
    const shares = [...logits].map((logit) => Math.exp(logit - max));
    const { sum, weighted } = sumExps(logits, size, max);
    expect(sum / shares.reduce((a, b) => a + b)).toBeCloseTo(1, 11);
    const expected = shares.reduce((a, share, id) => a + (share > 0 ? share * (logits[id]! - max) : 0), 0);
    expect(weighted).toBeCloseTo(expected, 6);
  });

  test.each([1, 10, 511, 2100])('the top %d', (k) => {
    const { least, ties } = limitOfTop(logits, size, k);
    const top = sorted.slice(0, k);
    expect(least).toBe(top.at(-1)!.logit);
    if (least > -Infinity) expect(ties).toBe(top.filter(({ logit }) => logit === least).length);
    expect(topIds(logits, k)).toEqual(top.map(({ id }) => id));
  });

  test.each<[string, Partial<SamplingSettings>]>([
    ['top-k', { topK: 100 }],
    ['a large top-k', { topK: 3000 }],
    ['top-p', { topP: 0.9 }],
    ['min-p', { minP: 0.2 }],
    ['a low temperature', { temperature: 0.01, topP: 0.5 }],
    ['a high one', { temperature: 3, topP: 0.97, topK: 5000 }],
    ['all', { temperature: 0.7, topK: 600, topP: 0.95, minP: 0.01, repetitionPenalty: 1.3, presencePenalty: 0.4 }],
    ['forbidden tokens', { logitBias: { 0: -100, 2048: -100, 6150: -100, 17: 4, 9999: 1 }, topK: 40 }],
  ])('filtered by %s', (_name, change) => {
    const settings = { ...greedySampling, temperature: 1, ...change };
    const candidates = new Candidates(size);
    const context = { settings, history: new TokenHistory(past.prompt, past.answer) };
    // Twice: what a token leaves behind is nothing to the next.
    for (const row of [logitsOf('ordinary', 2), logits]) {
      candidates.fill(row);
      for (const filter of filters) if (filter.isOn(context)) filter.apply(candidates, context);
    }
    const expected = referenceFilter(logits, settings, past).sort((a, b) => a.id - b.id);
    const kept = [...candidates.ids.subarray(0, candidates.count)];
    expect(kept.join()).toBe(expected.map(({ id }) => id).join());
    expect([...candidates.scores.subarray(0, candidates.count)].join()).toBe(expected.map((e) => e.score).join());
  });
});

test('not a number is found wherever it is', () => {
  for (const at of [0, 1, 2047, 2048, 6149, 6150]) {
    const logits = logitsOf('ordinary');
    logits[at] = Number.NaN;
    expect(largest(logits, size)).toBeNaN();
  }
});
