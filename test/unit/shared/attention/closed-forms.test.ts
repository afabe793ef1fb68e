/** Closed forms that hold for every size: each metric at ten sizes, with the formula written beside it. */
import { expect, test } from 'vitest';
import { confidence, localityOf } from '../../../../src/shared/attention/confidence.ts';
import { divergenceBits, jensenShannonBits } from '../../../../src/shared/attention/distributions.ts';
import { combineHeads } from '../../../../src/shared/attention/head-set.ts';
import { attributeLogits, logitLens } from '../../../../src/shared/attention/logit-lens.ts';
import { inductionScore } from '../../../../src/shared/attention/repeated-sequences.ts';
import { rowStatisticsOf, sinkRate } from '../../../../src/shared/attention/row-statistics.ts';
import {
  duplicateTokenScore,
  prefixMatchingScore,
  previousTokenScore,
  selfScore,
} from '../../../../src/shared/attention/token-relations.ts';
import { uncertaintyOf } from '../../../../src/shared/attention/token-uncertainty.ts';
import { mapOf, pointMap, uniformMap } from './random-maps.ts';

const sizes = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
const sum = (from: number, to: number, term: (i: number) => number) =>
  range(from, to).reduce((total, i) => total + term(i), 0);
const inverse = (from: number, to: number) => sum(from, to, (i) => 1 / i);

test.each(sizes)('uniform causal attention over %d tokens', (n) => {
  const map = uniformMap('causal', n);
  const statistics = rowStatisticsOf(map);
  expect(statistics.entropyBits).toBeCloseTo(sum(1, n + 1, Math.log2) / n, 12);
  expect(statistics.normalisedEntropy).toBeCloseTo(1, 12);
  expect(statistics.meanDistance).toBeCloseTo((n - 1) / 4, 12);
  expect(statistics.first).toBeCloseTo(inverse(1, n + 1) / n, 12);
  expect(selfScore(map).score).toBeCloseTo(inverse(1, n + 1) / n, 12);
  expect(previousTokenScore(map).score).toBeCloseTo(inverse(2, n + 1) / (n - 1), 12);
  expect(confidence(map)).toBeCloseTo(inverse(1, n + 1) / n, 12);
  expect(confidence(map, (key) => key === 0)).toBeCloseTo(inverse(2, n + 1) / (n - 1), 12);
  // One token said n times: all keys before are duplicates, and all but the first stand behind one.
  const same = new Array<number>(n).fill(7);
  expect(duplicateTokenScore(map, same).score).toBeCloseTo(sum(1, n, (i) => i / (i + 1)) / (n - 1), 12);
  if (n > 2)
    expect(prefixMatchingScore(map, same).score).toBeCloseTo(sum(2, n, (i) => (i - 1) / (i + 1)) / (n - 2), 12);
  // n tokens, twice.
  const twice = { tokens: [...range(0, n), ...range(0, n)], start: 0, period: n };
  expect(inductionScore([uniformMap('causal', 2 * n)], [twice]).score).toBeCloseTo(inverse(n + 1, 2 * n + 1) / n, 12);
});

test.each(sizes)('locality of uniform bidirectional attention over %d tokens', (n) => {
  const [self, one, all] = localityOf(uniformMap('bidirectional', n), [0, 1, n]);
  expect(self!.mass).toBeCloseTo(1 / n, 12);
  expect(one!.mass).toBeCloseTo((3 * n - 2) / n ** 2, 12);
  expect([all!.mass, all!.uniform]).toEqual([expect.closeTo(1, 12), expect.closeTo(1, 12)]);
});

test.each(sizes)('one self head among %d, the others on the first token', (n) => {
  const heads = [
    pointMap('bidirectional', 2, (q) => q),
    ...range(1, n).map(() => pointMap('bidirectional', 2, () => 0)),
  ];
  const { mean, max, deviation, range: spread } = combineHeads(heads);
  // Row 1: a Bernoulli share of 1/n.
  expect(Array.from(mean.weights)).toEqual([1, 0, 1 - 1 / n, 1 / n].map((x) => expect.closeTo(x, 6)));
  expect(Array.from(max)).toEqual([1, 0, 1, 1]);
  expect(Array.from(deviation)).toEqual([0, 0, ...new Array(2).fill(expect.closeTo(Math.sqrt(n - 1) / n, 6))]);
  expect(Array.from(spread)).toEqual([0, 0, 1, 1]);
  expect(
    sinkRate(
      heads.map((head) => rowStatisticsOf(head).first!),
      0.5,
    ),
  ).toBeCloseTo((n - 1) / n, 12);
});

test.each(sizes)('a learned sink with 1/%d of each row', (n) => {
  const left = 1 - 1 / n;
  const map = mapOf(
    [
      [left, 0],
      [0, left],
    ],
    { sinks: [1 / n, 1 / n] },
  );
  const statistics = rowStatisticsOf(map);
  const bits = -left * Math.log2(left) + Math.log2(n) / n;
  expect(statistics.entropyBits).toBeCloseTo(bits, 12);
  expect(statistics.normalisedEntropy).toBeCloseTo((bits + bits / Math.log2(3)) / 2, 12);
  expect(statistics.learnedSink).toBeCloseTo(1 / n, 12);
  expect(confidence(map)).toBeCloseTo(left, 12);
  expect(localityOf(map, [0])[0]!.mass).toBe(1);
  expect(statistics.meanDistance).toBe(0);
  expect(selfScore(map).score).toBeCloseTo(left, 12);
});

test.each(sizes)('distributions over %d tokens', (n) => {
  const uniform = new Array<number>(n).fill(3);
  expect(uncertaintyOf(uniform, n - 1).surprisalBits).toBeCloseTo(Math.log2(n), 12);
  expect(uncertaintyOf(uniform, 0).entropyBits).toBeCloseTo(Math.log2(n), 12);
  // One token n times as likely as each of the n others: 1/2 and n of 1/2n.
  const half = [Math.log(n), ...new Array<number>(n).fill(0)];
  expect(uncertaintyOf(half, 0).surprisalBits).toBeCloseTo(1, 12);
  expect(uncertaintyOf(half, 1).surprisalBits).toBeCloseTo(1 + Math.log2(n), 12);
  expect(uncertaintyOf(half, 1).entropyBits).toBeCloseTo(1 + Math.log2(n) / 2, 12);
  const certain = range(0, n).map((id) => (id === 0 ? 0 : -Infinity));
  expect(
    divergenceBits(
      certain,
      uniform.map(() => -Math.log(n)),
    ),
  ).toBeCloseTo(Math.log2(n), 12);
  // A share of 1/n in common, the rest disjoint.
  expect(jensenShannonBits([1 / n, 1 - 1 / n, 0], [1 / n, 0, 1 - 1 / n])).toBeCloseTo(1 - 1 / n, 12);
});

test.each(sizes)('lens and attribution of a stream %d wide', (n) => {
  const axis = range(0, n).map((index) => (index === 0 ? 1 : 0));
  const unembed = (x: ArrayLike<number>) => Array.from(x, (value) => (value > 0 ? 0 : -Infinity));
  const [before, last] = logitLens([new Array<number>(n).fill(1), axis], { kind: 'none' }, unembed);
  expect([before!.entropyBits, last!.entropyBits, last!.divergenceBits]).toEqual([
    expect.closeTo(Math.log2(n), 12),
    0,
    0,
  ]);
  expect(before!.divergenceBits).toBeCloseTo(Math.log2(n), 12);
  // RMS of an axis is 1/√n: what is normalised is √n long.
  const parts = [axis.map((x) => 0.25 * x), axis.map((x) => 0.75 * x)];
  const norm = { kind: 'rms', epsilon: 0 } as const;
  const found = attributeLogits({ residual: axis, parts, norm, unembedding: [axis.map((x) => 2 * x)] });
  expect(found.parts[0]).toBeCloseTo(0.5 * Math.sqrt(n), 12);
  expect(found.parts[1]).toBeCloseTo(1.5 * Math.sqrt(n), 12);
  expect(found.logits[0]).toBeCloseTo(2 * Math.sqrt(n), 12);
});
