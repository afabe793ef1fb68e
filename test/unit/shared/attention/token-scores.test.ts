/** Scores by position and token, confidence, locality, head sets, groups: against plain definitions and closed forms. */
import { expect, test } from 'vitest';
import type { AttentionMap } from '../../../../src/shared/attention/attention-map.ts';
import { confidence, localityOf } from '../../../../src/shared/attention/confidence.ts';
import { combineHeads } from '../../../../src/shared/attention/head-set.ts';
import { inductionScore, repeatedSequences } from '../../../../src/shared/attention/repeated-sequences.ts';
import {
  duplicateTokenScore,
  prefixMatchingScore,
  previousTokenScore,
  relatedMass,
  selfScore,
} from '../../../../src/shared/attention/token-relations.ts';
import { createRandom } from '../../support/random.ts';
import { mapOf, pointMap, randomMap, twentyMaps, uniformMap } from './random-maps.ts';
import { cellsOf, mean, referenceStatistics, rowsOf } from './reference-metrics.ts';

const tokensFor = (map: AttentionMap, seed: number) => {
  const random = createRandom(seed);
  return Array.from({ length: map.keys }, () => Math.floor(random() * 4));
};
const selfMaps = twentyMaps(['causal', 'bidirectional']);

test.each(selfMaps.map((map, index) => [index, map] as const))('random map %d', (seed, map) => {
  const tokens = tokensFor(map, seed);
  const scoreOf = (isRelated: (position: number, key: number) => boolean) => {
    const sums = rowsOf(map).map((row) => row.filter(({ key, behind }) => isRelated(key + behind, key)));
    return mean(sums.filter((row) => row.length > 0).map((row) => row.reduce((sum, { weight }) => sum + weight, 0)));
  };
  const close = (found: number | undefined, expected: number | undefined) =>
    expected === undefined ? expect(found).toBeUndefined() : expect(found).toBeCloseTo(expected, 10);
  close(
    duplicateTokenScore(map, tokens).score,
    scoreOf((at, key) => key < at && tokens[key] === tokens[at]),
  );
  close(
    prefixMatchingScore(map, tokens).score,
    scoreOf((at, key) => key < at && key > 0 && tokens[key - 1] === tokens[at]),
  );
  close(previousTokenScore(map).score, referenceStatistics(map).previous);
  close(selfScore(map).score, referenceStatistics(map).self);
  const isSpecial = (key: number) => tokens[key] === 0;
  const ordinary = rowsOf(map).map((row) =>
    isSpecial(row[0]!.key + row[0]!.behind) ? [] : row.filter(({ key }) => !isSpecial(key)),
  );
  close(
    confidence(map, isSpecial),
    mean(ordinary.filter((row) => row.length > 0).map((row) => Math.max(...row.map(({ weight }) => weight)))),
  );
  for (const { window, mass } of localityOf(map, [0, 1, 2, 5, 100])) {
    const shares = rowsOf(map).map((row) => {
      const near = row.filter(({ behind }) => Math.abs(behind) <= window);
      return near.reduce((sum, { weight }) => sum + weight, 0) / row.reduce((sum, { weight }) => sum + weight, 0);
    });
    close(mass, mean(shares));
  }
});

const repeated = [7, 1, 2, 3, 1, 2, 3];
test.each<[string, number | undefined, number | undefined]>([
  [
    'previous token of a previous-token head',
    previousTokenScore(pointMap('causal', 6, (q) => Math.max(0, q - 1))).score,
    1,
  ],
  ['previous token of uniform attention', previousTokenScore(uniformMap('bidirectional', 4)).score, 1 / 4],
  ['previous token of one token', previousTokenScore(mapOf([[1]])).score, undefined],
  ['self of a self head', selfScore(pointMap('causal', 6, (q) => q)).score, 1],
  [
    'duplicate head',
    duplicateTokenScore(
      pointMap('causal', 7, (q) => (q > 3 ? q - 3 : q)),
      repeated,
    ).score,
    1,
  ],
  [
    'duplicates of uniform attention',
    duplicateTokenScore(uniformMap('causal', 7), repeated).score,
    (1 / 5 + 1 / 6 + 1 / 7) / 3,
  ],
  ['no duplicate', duplicateTokenScore(uniformMap('causal', 3), [1, 2, 3]).score, undefined],
  [
    'prefix matching of an induction head',
    prefixMatchingScore(
      pointMap('causal', 7, (q) => (q > 3 ? q - 2 : 0)),
      repeated,
    ).score,
    1,
  ],
  [
    'a run of one token: what follows the match is not the query',
    prefixMatchingScore(
      pointMap('causal', 3, (q) => q),
      [5, 5, 5],
    ).score,
    0,
  ],
  [
    'the uniform score beside',
    prefixMatchingScore(
      pointMap('causal', 7, () => 0),
      repeated,
    ).uniform,
    (1 / 5 + 1 / 6 + 1 / 7) / 3,
  ],
  [
    'confidence without the first token',
    confidence(
      pointMap('causal', 4, () => 0),
      (key) => key === 0,
    ),
    0,
  ],
  ['confidence where all is special', confidence(uniformMap('causal', 3), () => true), undefined],
  ['confidence with a learned sink', confidence(mapOf([[0.4]], { sinks: [0.6] })), 0.4],
  [
    'locality is a share of the keys',
    localityOf(
      mapOf(
        [
          [0.5, 0],
          [0.2, 0.2],
        ],
        { sinks: [0.5, 0.6] },
      ),
      [0],
    )[0]!.mass,
    0.75,
  ],
  [
    'locality of uniform attention is its null',
    localityOf(uniformMap('causal', 4), [1])[0]!.uniform,
    (1 + 1 + 2 / 3 + 1 / 2) / 4,
  ],
])('%s', (_name, found, expected) => {
  if (expected === undefined) expect(found).toBeUndefined();
  else expect(found).toBeCloseTo(expected, 12);
});

test('locality grows with the window up to 1', () => {
  for (const map of selfMaps) {
    const masses = localityOf(map, [0, 1, 2, 4, 8, 64]).map(({ mass }) => mass);
    expect(masses).toEqual(masses.toSorted((a, b) => a - b));
    expect(masses.at(-1)).toBeCloseTo(1, 12);
  }
});

const vocabulary = Array.from({ length: 100 }, (_, id) => id);
test('repeated sequences: m = 50, ten of them, seeded, distinct, said twice', () => {
  const sequences = repeatedSequences({ vocabulary, prefix: [3] });
  expect(sequences).toEqual(repeatedSequences({ vocabulary, prefix: [3], seed: 0 }));
  expect(sequences).not.toEqual(repeatedSequences({ vocabulary, prefix: [3], seed: 1 }));
  expect(sequences).toHaveLength(10);
  for (const { tokens, start, period } of sequences) {
    expect([tokens.length, start, period, tokens[0]]).toEqual([101, 1, 50, 3]);
    expect(tokens.slice(1, 51)).toEqual(tokens.slice(51));
    expect(new Set(tokens).size).toBe(51);
  }
  expect(() => repeatedSequences({ vocabulary: [1, 2, 2], period: 3 })).toThrow('2 different tokens');
});

test.each(Array.from({ length: 20 }, (_, seed) => seed))('induction score of random maps %d', (seed) => {
  const sequences = repeatedSequences({
    vocabulary,
    period: 2 + (seed % 7),
    sequences: 1 + (seed % 3),
    seed,
    prefix: seed % 2 ? [0] : [],
  });
  const kind = seed % 3 ? 'causal' : 'bidirectional';
  const maps = sequences.map(({ tokens: { length } }, i) =>
    randomMap({ kind, queries: length, keys: length, seed: seed + i, hasSink: seed % 4 === 0 }),
  );
  const expected = mean(
    maps.map((map, i) => {
      const { start, period } = sequences[i]!;
      return mean(
        cellsOf(map)
          .filter(({ query, behind }) => query >= start + period && behind === period - 1)
          .map(({ weight }) => weight),
      )!;
    }),
  );
  expect(inductionScore(maps, sequences).score).toBeCloseTo(expected!, 12);
  const induction = sequences.map(({ tokens, period }) =>
    pointMap(kind, tokens.length, (q) => Math.max(0, q - period + 1)),
  );
  expect(inductionScore(induction, sequences).score).toBe(1);
});

test('scores by position are refused for cross attention, and foreign tokens too', () => {
  const cross = uniformMap('cross', 2, 3);
  for (const score of [
    () => previousTokenScore(cross),
    () => localityOf(cross, [1]),
    () => relatedMass(cross, () => [0]),
  ])
    expect(score).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringContaining('not defined for cross') }),
    );
  expect(() => duplicateTokenScore(uniformMap('causal', 3), [1])).toThrow('1 tokens for 3 keys');
  expect(() => inductionScore([], [])).toThrow('Give one for each');
});

test.each(Array.from({ length: 20 }, (_, seed) => seed))('head set %d', (seed) => {
  const maps = [0, 1, 2, 3].map((head) =>
    randomMap({ kind: 'causal', queries: 5, keys: 6, seed: seed * 10 + head, hasSink: head === 2 }),
  );
  const chosen = [[0, 1, 2, 3], [2], [3, 1], [0, 2, 3]][seed % 4]!;
  const set = combineHeads(maps, chosen);
  for (let index = 0; index < 30; index++) {
    const weights = chosen.map((head) => maps[head]!.weights[index]!);
    const squares = weights.map((weight) => weight * weight);
    expect(set.mean.weights[index]).toBeCloseTo(mean(weights)!, 6);
    expect(set.max[index]).toBeCloseTo(Math.max(...weights), 6);
    expect(set.range[index]).toBeCloseTo(Math.max(...weights) - Math.min(...weights), 6);
    expect(set.deviation[index]).toBeCloseTo(Math.sqrt(Math.max(0, mean(squares)! - mean(weights)! ** 2)), 5);
  }
  const rowMass = [0, 1, 2, 3, 4].map(
    (q) =>
      (set.mean.sinks?.[q] ?? 0) +
      Array.from(set.mean.weights)
        .slice(q * 6, q * 6 + 6)
        .reduce((a, b) => a + b),
  );
  for (const mass of rowMass) expect(mass).toBeCloseTo(1, 6);
  expect(set.mean.sinks !== undefined).toBe(chosen.includes(2));
});

test('head sets that cannot be', () => {
  const maps = [uniformMap('causal', 2), uniformMap('causal', 3)];
  expect(() => combineHeads(maps)).toThrow('differ in kind or size');
  expect(() => combineHeads(maps, [])).toThrow('No head');
  expect(() => combineHeads(maps, [4])).toThrow('no head 4');
  expect(() => combineHeads(maps, [0, 0])).toThrow('twice');
  const one = combineHeads([uniformMap('causal', 2)]);
  expect([...one.deviation, ...one.range]).toEqual(new Array(8).fill(0));
});
