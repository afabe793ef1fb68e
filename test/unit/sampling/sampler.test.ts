/** The sampler keeps what an independent reference keeps, draws as probabilities say, and never fails to answer. */
import { describe, expect, test } from 'vitest';
import { Candidates } from '../../../src/shared/sampling/candidates.ts';
import { keepUntil } from '../../../src/shared/sampling/cutoff.ts';
import { filters } from '../../../src/shared/sampling/filters.ts';
import { createRandom } from '../../../src/shared/sampling/random.ts';
import { type Draw, Sampler } from '../../../src/shared/sampling/sampler.ts';
import { TokenHistory } from '../../../src/shared/sampling/token-history.ts';
import { greedySampling, type SamplingSettings } from '../../../src/shared/sampling-settings.ts';
import { chiSquareLimit } from '../support/statistics.ts';
import { referenceFilter } from './reference-sampler.ts';

const off: SamplingSettings = { ...greedySampling, temperature: 1 };
const vocabSize = 97;
const past = { prompt: [3, 5, 5, 8, 40], answer: [5, 7, 7, 7, 40, 60] };
const history = new TokenHistory(past.prompt, past.answer);

type Vary = (random: () => number) => Partial<SamplingSettings>;
const pick = (random: () => number, ...values: number[]) => values[Math.floor(random() * values.length)] as number;

const controls: Record<string, Vary> = {
  temperature: (r) => ({ temperature: pick(r, 0, 0.01, 0.3, 0.7, 1, 1.5, 5) }),
  topK: (r) => ({ topK: pick(r, 0, 1, 2, 5, 40, 96, 97, 98, 100_000) }),
  topP: (r) => ({ topP: pick(r, 0, 0.1, 0.5, 0.9, 0.99, 1, r()) }),
  minP: (r) => ({ minP: pick(r, 0, 0.01, 0.1, 0.5, 1, r()) }),
  repetitionPenalty: (r) => ({ repetitionPenalty: pick(r, 0.5, 0.9, 1, 1.1, 3) }),
  frequencyPenalty: (r) => ({ frequencyPenalty: pick(r, -2, 0, 0.3, 2) }),
  presencePenalty: (r) => ({ presencePenalty: pick(r, -2, 0, 0.7, 2) }),
  logitBias: (r) => ({ logitBias: { 3: pick(r, -100, -3, 5), 50: pick(r, -100, 0, 100), 999: 4 } }),
};

/** Ordinary logits, and such with ties, plateaus, extremes and impossible tokens. */
function randomLogits(random: () => number, size = vocabSize): Float32Array {
  const kind = Math.floor(random() * 6);
  return Float32Array.from({ length: size }, (_, id) => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    if (kind === 0) return Math.round(normal * 2);
    if (kind === 1) return 0;
    if (kind === 2) return id === 11 ? 60 : normal * 0.01;
    if (kind === 3) return random() < 0.3 ? -Infinity : normal * 10;
    if (kind === 4) return id % 2 ? 1e4 : -1e4;
    return normal * 4;
  });
}

function keptIds(logits: Float32Array, settings: SamplingSettings): number[] {
  const candidates = new Candidates(logits.length);
  candidates.fill(logits);
  const context = { settings, history };
  for (const filter of filters) if (filter.isOn(context)) filter.apply(candidates, context);
  return [...candidates.ids.subarray(0, candidates.count)];
}

function expectLikeReference(seed: number, vary: Vary, vectors: number) {
  const random = createRandom(seed).next;
  for (let i = 0; i < vectors; i++) {
    const logits = randomLogits(random);
    const settings = { ...off, ...vary(random) };
    const expected = referenceFilter(logits, settings, past).map(({ id }) => id);
    const kept = keptIds(logits, settings);
    if (kept.join() !== expected.sort((a, b) => a - b).join())
      expect({ i, settings, kept }).toEqual({ kept: expected });
  }
}

describe('keeps what the reference keeps, on 1,000 random vectors', () => {
  test.each(Object.entries(controls))('%s', (_name, vary) => expectLikeReference(1, vary, 1000));

  test('all of them together', () => {
    const together: Vary = (r) => Object.assign({}, ...Object.values(controls).map((vary) => vary(r)));
    expectLikeReference(2, together, 1000);
  });

  test.each([
    ['topK', 'topP'],
    ['temperature', 'topP'],
    ['topK', 'minP'],
    ['topP', 'minP'],
    ['repetitionPenalty', 'topP'],
    ['logitBias', 'topK'],
    ['frequencyPenalty', 'presencePenalty'],
  ] as const)('%s with %s', (a, b) =>
    expectLikeReference(3, (r) => ({ ...controls[a]!(r), ...controls[b]!(r) }), 1000),
  );
});

test('finds the same cutoff by sorting all, by sorting a few, and by histogram', () => {
  const random = createRandom(4).next;
  for (let i = 0; i < 40; i++) {
    const logits = randomLogits(random, 300);
    const target = pick(random, 1, 7, 299, 300);
    const [sorted, histogram, few] = [Infinity, 0, 100].map((many) => {
      const candidates = new Candidates(300);
      candidates.fill(logits);
      const total = candidates.logTotal();
      const weigh = i % 2 ? () => 1 : (score: number) => 300 * Math.exp(score - total);
      keepUntil(candidates, target - 1e-6, weigh, many);
      return candidates.ids.slice(0, candidates.count).join();
    });
    expect([histogram, few]).toEqual([sorted, sorted]);
  }
});

describe('draws as the probabilities say, 100,000 times', () => {
  const logits = Float32Array.from([2, 1.5, 1.5, 1, 0.5, 0, -0.5, -1, -1, -2, -3, -0.2]);
  const cases: Record<string, Partial<SamplingSettings>> = {
    'no control': {},
    temperature: { temperature: 0.6 },
    'a high temperature': { temperature: 2.5 },
    topK: { topK: 5 },
    topP: { topP: 0.8 },
    minP: { minP: 0.15 },
    repetitionPenalty: { repetitionPenalty: 1.7 },
    frequencyPenalty: { frequencyPenalty: 0.4 },
    presencePenalty: { presencePenalty: 0.9 },
    logitBias: { logitBias: { 0: -100, 9: 3 } },
    'all of them': { temperature: 1.4, topK: 9, topP: 0.95, minP: 0.02, repetitionPenalty: 1.2, presencePenalty: 0.3 },
  };
  test.each(Object.entries(cases))('%s', (_name, change) => {
    const settings = { ...off, ...change };
    const entries = referenceFilter(logits, settings, past);
    const total = entries.reduce((sum, { score }) => sum + Math.exp(score), 0);
    const draws = 100_000;
    const counts = new Map<number, number>();
    const sampler = new Sampler(settings, 12_345, logits.length);
    for (let i = 0; i < draws; i++) {
      const { id } = sampler.draw(logits, { history, details: false });
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    expect([...counts.keys()].every((id) => entries.some((entry) => entry.id === id))).toBe(true);
    const chiSquare = entries.reduce((sum, { id, score }) => {
      const expected = (draws * Math.exp(score)) / total;
      return sum + ((counts.get(id) ?? 0) - expected) ** 2 / expected;
    }, 0);
    expect(chiSquare).toBeLessThan(chiSquareLimit(Math.max(1, entries.length - 1)));
  });
});

describe('says what it drew from', () => {
  const logits = Float32Array.from({ length: 30 }, (_, id) => (id === 17 ? 3 : id === 4 ? 2 : -id / 10));
  const draw = (change: Partial<SamplingSettings>, details = true): Draw =>
    new Sampler({ ...off, ...change }, 1, 30).draw(logits, { history: new TokenHistory([]), details });

  test('probabilities before and after the filters, and the entropy', () => {
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    const p = [...logits].map((logit) => Math.exp(logit) / total);
    const { id, rawLogprob, logprob, entropy, alternatives } = draw({ topK: 2 });
    expect([17, 4]).toContain(id);
    expect(rawLogprob).toBeCloseTo(Math.log(p[id]!), 5);
    expect(logprob).toBeCloseTo(Math.log(p[id]! / (p[17]! + p[4]!)), 5);
    expect(entropy).toBeCloseTo(-p.reduce((sum, share) => sum + share * Math.log(share), 0), 5);
    expect(alternatives.map((one) => one.id)).toEqual([17, 4, 0, 1, 2, 3, 5, 6, 7, 8]);
    expect(alternatives.map((one) => one.logprob !== undefined)).toEqual([true, true, ...Array(8).fill(false)]);
  });

  test('how many tokens each filter left, in the order in which they act', () => {
    const { kept } = draw({ temperature: 0.5, topK: 20, topP: 0.5, minP: 0.1, logitBias: { 17: -100 } });
    expect(kept.map(({ filter }) => filter)).toEqual(['logitBias', 'temperature', 'topK', 'topP', 'minP']);
    expect(kept.map(({ count }) => count).slice(0, 3)).toEqual([29, 29, 20]);
  });

  test('nothing of that when nobody asked', () => {
    expect(draw({}, false)).toMatchObject({ alternatives: [], kept: [] });
  });
});

describe('always answers', () => {
  const history = new TokenHistory([]);
  const draw = (logits: Float32Array, change: Partial<SamplingSettings>, allowed?: number[]) =>
    new Sampler({ ...off, ...change }, 1, logits.length).draw(logits, { history, details: true, allowed });

  test('with the best token when all are filtered out', () => {
    const forbidden = Object.fromEntries([0, 1, 2].map((id) => [id, -100]));
    expect(draw(Float32Array.of(1, 3, 2), { logitBias: forbidden })).toMatchObject({ id: 1, logprob: 0 });
  });

  test('with one of the allowed tokens only', () => {
    const logits = Float32Array.from({ length: 20 }, (_, id) => -id);
    for (const temperature of [0, 1]) expect([7, 9]).toContain(draw(logits, { temperature }, [7, 9]).id);
  });

  test('greedily with the lower number of two equal tokens', () => {
    expect(draw(Float32Array.of(0, 5, 5), { temperature: 0 }).id).toBe(1);
  });

  test('with the same tokens for the same seed, others for another', () => {
    const logits = Float32Array.from({ length: 500 }, (_, id) => Math.sin(id));
    const tokens = (seed: number) => {
      const sampler = new Sampler(off, seed, 500);
      return Array.from({ length: 20 }, () => sampler.draw(logits, { history, details: false }).id);
    };
    expect(tokens(7)).toEqual(tokens(7));
    expect(tokens(7)).not.toEqual(tokens(8));
  });

  test.each([Number.NaN, Infinity])('but not to %s', (bad) => {
    expect(() => draw(Float32Array.of(1, bad, 0), {})).toThrow(/not a number \(token 1/);
    expect(() => draw(Float32Array.of(-Infinity, -Infinity), {})).toThrow(/not a number/);
  });
});
