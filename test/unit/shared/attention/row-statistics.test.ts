/** Statistics of rows: against whole-matrix definitions on 20 random maps, and closed forms. */
import { describe, expect, test } from 'vitest';
import { type AttentionMap, checkMap } from '../../../../src/shared/attention/attention-map.ts';
import {
  createRowStatistics,
  type RowStatistics,
  rowEntropyBits,
  rowStatisticsOf,
  sinkRate,
} from '../../../../src/shared/attention/row-statistics.ts';
import { mapOf, pointMap, randomMap, twentyMaps, uniformMap } from './random-maps.ts';
import { referenceStatistics } from './reference-metrics.ts';

function expectClose(found: object, expected: object): void {
  for (const [name, value] of Object.entries(expected)) {
    const actual = (found as Record<string, number | undefined>)[name];
    if (value === undefined) expect(actual, name).toBeUndefined();
    else expect(actual, name).toBeCloseTo(value as number, 10);
  }
}

test.each(twentyMaps().map((map, index) => [index, map] as const))('random map %d', (_, map) => {
  expectClose(rowStatisticsOf(map), referenceStatistics(map));
});

const harmonic = (n: number) => Array.from({ length: n }, (_, i) => 1 / (i + 1)).reduce((a, b) => a + b);
const closedForms: [string, AttentionMap, Partial<RowStatistics>][] = [
  [
    'uniform, bidirectional',
    uniformMap('bidirectional', 8),
    {
      entropyBits: 3,
      normalisedEntropy: 1,
      self: 1 / 8,
      previous: 1 / 8,
      first: 1 / 8,
      confidence: 1 / 8,
      meanDistance: 63 / 24,
    },
  ],
  [
    'uniform, causal',
    uniformMap('causal', 4),
    {
      entropyBits: Math.log2(24) / 4,
      normalisedEntropy: 1,
      self: harmonic(4) / 4,
      first: harmonic(4) / 4,
      previous: (harmonic(4) - 1) / 3,
      meanDistance: 0.75,
    },
  ],
  [
    'uniform, cross',
    uniformMap('cross', 3, 4),
    {
      entropyBits: 2,
      normalisedEntropy: 1,
      first: 0.25,
      self: undefined,
      previous: undefined,
      meanDistance: undefined,
    },
  ],
  [
    'identity',
    pointMap('causal', 5, (q) => q),
    { entropyBits: 0, normalisedEntropy: 0, self: 1, previous: 0, first: 0.2, meanDistance: 0, confidence: 1 },
  ],
  [
    'previous token',
    pointMap('causal', 5, (q) => Math.max(0, q - 1)),
    { previous: 1, self: 0.2, first: 0.4, meanDistance: 0.8 },
  ],
  ['first token', pointMap('causal', 5, () => 0), { first: 1, firstRows: 5, meanDistance: 2, self: 0.2 }],
  [
    'next token',
    pointMap('bidirectional', 4, (q) => Math.min(3, q + 1)),
    { previous: 0, self: 0.25, meanDistance: 0.75 },
  ],
  [
    'one token',
    mapOf([[1]]),
    { entropyBits: 0, normalisedEntropy: undefined, previous: undefined, self: 1, first: 1, rows: 1 },
  ],
  [
    'half on a learned sink',
    mapOf(
      [
        [0.5, 0],
        [0, 0.5],
      ],
      { sinks: [0.5, 0.5] },
    ),
    {
      entropyBits: 1,
      normalisedEntropy: (1 + 1 / Math.log2(3)) / 2,
      learnedSink: 0.5,
      self: 0.5,
      meanDistance: 0,
      confidence: 0.5,
    },
  ],
  [
    'all on a learned sink',
    mapOf(
      [
        [0, 0],
        [0, 0],
      ],
      { sinks: [1, 1] },
    ),
    { entropyBits: 0, learnedSink: 1, meanDistance: undefined, confidence: 0, first: 0 },
  ],
  [
    'window of two',
    mapOf(
      [
        [1, 0, 0],
        [0.5, 0.5, 0],
        [0, 0.5, 0.5],
      ],
      { window: 2 },
    ),
    { first: 0.75, firstRows: 2, normalisedEntropy: 1, previous: 0.5 },
  ],
  [
    'with a cache',
    mapOf([
      [0.25, 0.75, 0],
      [0.5, 0, 0.5],
    ]),
    { previous: 0.125, self: 0.625, first: 0.375, meanDistance: 0.625 },
  ],
];
test.each(closedForms)('%s', (_name, map, expected) => expectClose(rowStatisticsOf(map), expected));

test('a renaming of the keys leaves entropy and confidence as they are', () => {
  for (let seed = 0; seed < 20; seed++) {
    const map = randomMap({ kind: 'bidirectional', queries: 7, keys: 7, seed, hasSink: true });
    const weights = Array.from(map.weights, (_, i) => map.weights[Math.floor(i / 7) * 7 + (((i % 7) * 3 + 2) % 7)]!);
    const [a, b] = [rowStatisticsOf(map), rowStatisticsOf({ ...map, weights })];
    expect(b.entropyBits).toBeCloseTo(a.entropyBits, 12);
    expect(b.confidence).toBe(a.confidence);
  }
});

test('bounds', () => {
  for (const map of twentyMaps()) {
    const { entropyBits, normalisedEntropy = 0, first = 0, confidence } = rowStatisticsOf(map);
    expect(entropyBits).toBeLessThanOrEqual(Math.log2(map.keys + 1));
    for (const share of [normalisedEntropy, first, confidence]) {
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThanOrEqual(1 + 1e-12);
    }
  }
});

test('entropy of a row, and the order of rows does not matter', () => {
  expect(rowEntropyBits([0.5, 0.25, 0.25])).toBeCloseTo(1.5, 12);
  expect(rowEntropyBits([0.25, 0.25], 0.5)).toBeCloseTo(1.5, 12);
  const forwards = createRowStatistics({ kind: 'causal' });
  const backwards = createRowStatistics({ kind: 'causal' });
  const rows = [[1], [0.3, 0.7], [0.2, 0.3, 0.5]];
  for (const [query, row] of rows.entries()) forwards.add(query, row);
  for (const query of [2, 1, 0]) backwards.add(query, rows[query]!);
  expectClose(backwards.result(), forwards.result());
  expect(() => createRowStatistics({ kind: 'causal' }).result()).toThrow('There are no rows');
});

test('the sink rate counts heads above ε', () => {
  expect(sinkRate([0.31, 0.3, 0.9, 0])).toBe(0.5);
  expect(sinkRate([0.2, 0.6], 0.1)).toBe(1);
  expect(() => sinkRate([])).toThrow('no heads');
});

describe('refused with the reason', () => {
  test.each<[string, AttentionMap, string]>([
    ['too few weights', { kind: 'causal', queries: 2, keys: 2, weights: [1] }, '1 weights'],
    ['no key', { kind: 'causal', queries: 0, keys: 0, weights: [] }, '0 queries'],
    ['more queries than keys', mapOf([[1], [1]]), '2 queries cannot be the last of 1'],
    ['bidirectional, not square', mapOf([[0.5, 0.5]], { kind: 'bidirectional' }), 'cannot be the 2 keys'],
    [
      'weight on a masked key',
      mapOf([
        [0.5, 0.5],
        [0.5, 0.5],
      ]),
      'query 0 has weight on the masked key 1',
    ],
    ['NaN', mapOf([[Number.NaN]]), 'is NaN'],
    ['negative', mapOf([[-1, 2]], { kind: 'cross' }), 'is -1'],
    ['a sum of 2', mapOf([[2]]), 'sum to 2'],
    ['a sink too many', mapOf([[1]], { sinks: [0, 0] }), '2 sink masses'],
    ['a window of a cross map', mapOf([[1]], { kind: 'cross', window: 1 }), 'window'],
  ])('%s', (_name, map, message) => {
    expect(() => checkMap(map)).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringContaining(message) }),
    );
  });
});
