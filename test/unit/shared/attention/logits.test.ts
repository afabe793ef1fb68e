/** Surprisal, entropy, divergences, logit lens and attribution: against plain formulas, and closed forms. */
import { describe, expect, test } from 'vitest';
import {
  cosineDistance,
  divergenceBits,
  entropyBits,
  jensenShannonBits,
  logSoftmax,
} from '../../../../src/shared/attention/distributions.ts';
import { attributeLogits, type FinalNorm, logitLens, normalise } from '../../../../src/shared/attention/logit-lens.ts';
import { uncertaintyOf, uncertaintyOfText } from '../../../../src/shared/attention/token-uncertainty.ts';
import { createRandom } from '../../support/random.ts';
import { normalFrom } from './random-maps.ts';
import { referenceJensenShannon, referenceLogSoftmax } from './reference-metrics.ts';

const twenty = Array.from({ length: 20 }, (_, seed) => seed);
const normals = (random: () => number, count: number) => Array.from({ length: count }, () => normalFrom(random));
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);
const softmax = (logits: readonly number[]) => referenceLogSoftmax(logits).map(Math.exp);
const log2 = (p: readonly number[]) => p.map((value) => Math.log(value));

test.each(twenty)('random distributions %d', (seed) => {
  const random = createRandom(seed);
  const size = 2 + seed * 3;
  const [a, b] = [normals(random, size).map((x) => 3 * x), normals(random, size)];
  const [p, q] = [softmax(a), softmax(b)];
  const token = seed % size;
  const entropy = p.reduce((sum, x) => sum - x * Math.log2(x), 0);
  const { surprisalBits, entropyBits: predictive } = uncertaintyOf(Float64Array.from(a), token);
  expect(surprisalBits).toBeCloseTo(Math.log2(1 / p[token]!), 10);
  expect(predictive).toBeCloseTo(entropy, 10);
  expect(divergenceBits(logSoftmax(a), logSoftmax(b))).toBeCloseTo(
    p.reduce((sum, x, i) => sum + x * Math.log2(x / q[i]!), 0),
    10,
  );
  expect(jensenShannonBits(p, q)).toBeCloseTo(referenceJensenShannon(p, q), 10);
  expect(jensenShannonBits(q, p)).toBe(jensenShannonBits(p, q));
  // A constant on every logit, or another order of the tokens, changes nothing.
  expect(
    uncertaintyOf(
      a.map((x) => x + 1000),
      token,
    ).surprisalBits,
  ).toBeCloseTo(surprisalBits!, 9);
  expect(entropyBits(logSoftmax(a.toReversed()))).toBeCloseTo(entropy, 10);
});

test.each<[string, number | undefined, number]>([
  ['surprisal of one of four', uncertaintyOf([0, 0, 0, 0], 2).surprisalBits, 2],
  ['entropy of four alike', uncertaintyOf([5, 5, 5, 5], 0).entropyBits, 2],
  ['surprisal of a certain token', uncertaintyOf([0, -Infinity], 0).surprisalBits, 0],
  ['surprisal of an impossible token', uncertaintyOf([0, -Infinity], 1).surprisalBits, Infinity],
  ['entropy leaves out impossible tokens', uncertaintyOf([1, 1, -Infinity], 0).entropyBits, 1],
  ['surprisal at 3:1', uncertaintyOf([Math.log(3), 0], 1).surprisalBits, 2],
  ['huge logits', uncertaintyOf([1e30, 1e30], 0).surprisalBits, 1],
  ['KL of equals', divergenceBits(log2([0.3, 0.7]), log2([0.3, 0.7])), 0],
  ['KL of a certain token from one of two', divergenceBits([0, -Infinity], log2([0.5, 0.5])), 1],
  ['KL where q rules out what p allows', divergenceBits(log2([0.5, 0.5]), [0, -Infinity]), Infinity],
  ['JS of disjoint rows', jensenShannonBits([1, 0], [0, 1]), 1],
  ['JS of equals', jensenShannonBits([0.2, 0.8], [0.2, 0.8]), 0],
  ['JS of a half', jensenShannonBits([1, 0], [0.5, 0.5]), 1.5 - 0.75 * Math.log2(3)],
  ['cosine of equals', cosineDistance([1, 2], [1, 2]), 0],
  ['cosine of a right angle', cosineDistance([1, 0], [0, 3]), 1],
  ['cosine of opposites', cosineDistance([1, 1], [-2, -2]), 2],
  ['cosine of nothing and something', cosineDistance([0, 0], [1, 0]), 1],
])('%s', (_name, found, expected) => {
  if (Number.isFinite(expected)) expect(found).toBeCloseTo(expected, 12);
  else expect(found).toBe(expected);
});

test('uncertainty of a text: nothing predicts the first token', () => {
  const rows = [
    [0, 0],
    [0, Math.log(3)],
    [9, 9],
  ];
  const [first, second, third] = uncertaintyOfText([1, 0, 1], (position) => rows[position]!);
  expect(first).toEqual({ surprisalBits: undefined, entropyBits: undefined });
  expect(second!.surprisalBits).toBeCloseTo(1, 12);
  expect(third!.surprisalBits).toBeCloseTo(Math.log2(4 / 3), 12);
});

test('damaged logits and foreign tokens are refused', () => {
  for (const logits of [[Number.NaN], [Infinity, 0], [-Infinity], []])
    expect(() => logSoftmax(logits)).toThrow(expect.objectContaining({ code: 'bad-input' }));
  expect(() => uncertaintyOf([0, 0], 2)).toThrow('Token 2 is none of 2');
  expect(() => jensenShannonBits([1], [0.5, 0.5])).toThrow('cannot be compared');
  expect(() => divergenceBits([0], log2([0.5, 0.5]))).toThrow('cannot be compared');
});

const kinds = ['rms', 'layer', 'none'] as const;
/** The textbook's norm. */
function referenceNorm(x: readonly number[], { kind, scale, bias, epsilon = 1e-5 }: FinalNorm): number[] {
  if (kind === 'none') return x.map((value, i) => value * (scale?.[i] ?? 1));
  const mean = kind === 'layer' ? x.reduce((sum, value) => sum + value, 0) / x.length : 0;
  const variance = x.reduce((sum, value) => sum + value * value, 0) / x.length - mean ** 2;
  return x.map(
    (value, i) =>
      ((value - mean) / Math.sqrt(variance + epsilon)) * (scale?.[i] ?? 1) + (kind === 'layer' ? (bias?.[i] ?? 0) : 0),
  );
}

describe('logit lens and attribution', () => {
  test.each(twenty)('random model %d', (seed) => {
    const random = createRandom(seed);
    const [width, vocabulary, count] = [2 + (seed % 6), 3 + (seed % 8), 1 + (seed % 5)];
    const kind = kinds[seed % 3]!;
    const norm: FinalNorm = {
      kind,
      scale: normals(random, width),
      ...(kind === 'layer' && { bias: normals(random, width) }),
      epsilon: 1e-6,
    };
    const rows = Array.from({ length: vocabulary }, () => normals(random, width));
    const parts = Array.from({ length: count }, () => normals(random, width));
    // The residual stream after each part: running sums.
    const residuals = parts.map((_, end) =>
      parts[0]!.map((_value, i) => parts.slice(0, end + 1).reduce((sum, part) => sum + part[i]!, 0)),
    );
    const layers = logitLens(residuals, norm, (x) => rows.map((row) => dot(row, x)));
    const distributions = residuals.map((x) => softmax(rows.map((row) => dot(row, referenceNorm(x, norm)))));
    layers.forEach((layer, index) => {
      const [p, last] = [distributions[index]!, distributions.at(-1)!];
      p.forEach((share, token) => {
        expect(Math.exp(layer.logProbabilities[token]!)).toBeCloseTo(share, 9);
      });
      expect(layer.divergenceBits).toBeCloseTo(
        last.reduce((sum, x, i) => sum + x * Math.log2(x / p[i]!), 0),
        8,
      );
      expect(layer.entropyBits).toBeCloseTo(
        p.reduce((sum, x) => sum - x * Math.log2(x), 0),
        8,
      );
    });
    expect(layers.at(-1)!.divergenceBits).toBe(0);

    const residual = residuals.at(-1)!;
    const { parts: shares, bias, logits } = attributeLogits({ residual, parts, norm, unembedding: rows });
    const full = referenceNorm(residual, norm);
    rows.forEach((row, token) => {
      const sum = parts.reduce((total, _part, index) => total + shares[index * vocabulary + token]!, 0);
      expect(logits[token]).toBeCloseTo(dot(row, full), 8);
      expect(sum + bias[token]!).toBeCloseTo(dot(row, full), 8);
    });
    // Linear: the part doubled adds twice as much under the same frozen norm.
    const doubled = attributeLogits({ residual, parts: [parts[0]!.map((x) => 2 * x)], norm, unembedding: rows });
    for (let token = 0; token < vocabulary; token++) expect(doubled.parts[token]).toBeCloseTo(2 * shares[token]!, 9);
  });

  const exact = { epsilon: 0 };
  test.each<[string, ArrayLike<number>, readonly number[]]>([
    ['rms norm', normalise([3, 4], { kind: 'rms', ...exact }), [3 / Math.sqrt(12.5), 4 / Math.sqrt(12.5)]],
    ['rms norm with a scale', normalise([2, 2], { kind: 'rms', scale: [3, 5], ...exact }), [3, 5]],
    ['layer norm', normalise([1, 3], { kind: 'layer', ...exact }), [-1, 1]],
    [
      'layer norm with scale and bias',
      normalise([1, 3], { kind: 'layer', scale: [2, 2], bias: [10, 20], ...exact }),
      [8, 22],
    ],
    ['epsilon', normalise([0, 0], { kind: 'rms' }), [0, 0]],
    ['no norm', normalise([7, -1], { kind: 'none' }), [7, -1]],
    [
      'attribution along an axis',
      attributeLogits({
        residual: [2, 0],
        parts: [
          [2, 0],
          [0, 0],
        ],
        norm: { kind: 'none' },
        unembedding: [[3, 9]],
      }).parts,
      [6, 0],
    ],
    [
      'opposite parts cancel in the whole',
      attributeLogits({
        residual: [0, 1],
        parts: [
          [5, 0],
          [-5, 1],
        ],
        norm: { kind: 'none' },
        unembedding: [[1, 0]],
      }).logits,
      [0],
    ],
    [
      'layer norm centres each part',
      attributeLogits({ residual: [1, 3], parts: [[4, 4]], norm: { kind: 'layer', ...exact }, unembedding: [[1, 2]] })
        .parts,
      [0],
    ],
    [
      'the bias is no part',
      attributeLogits({
        residual: [1, 3],
        parts: [],
        norm: { kind: 'layer', bias: [1, 1], ...exact },
        unembedding: [[1, 2]],
      }).bias,
      [3],
    ],
    [
      'lens: entropy of a zero residual',
      [logitLens([[0, 0]], { kind: 'rms' }, () => [0, 0, 0, 0])[0]!.entropyBits],
      [2],
    ],
    [
      'lens: a certain last layer from an undecided one',
      [logitLens([[0], [1]], { kind: 'none' }, ([x]) => (x ? [0, -Infinity] : [0, 0]))[0]!.divergenceBits],
      [1],
    ],
  ])('%s', (_name, found, expected) => {
    expect(found).toHaveLength(expected.length);
    expected.forEach((value, index) => {
      expect(found[index]).toBeCloseTo(value, 12);
    });
  });

  test('refused', () => {
    expect(() => logitLens([], { kind: 'none' }, () => [0])).toThrow('missing or differ');
    expect(() => logitLens([[1], [1, 2]], { kind: 'none' }, () => [0])).toThrow('missing or differ');
    expect(() => normalise([1, 2], { kind: 'rms', scale: [1] })).toThrow('not 2 wide');
    expect(() => attributeLogits({ residual: [1], parts: [[1, 2]], norm: { kind: 'none' }, unembedding: [] })).toThrow(
      'width 1',
    );
  });
});
