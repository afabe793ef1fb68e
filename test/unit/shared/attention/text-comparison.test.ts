/** Edit scripts, differences of maps, groups and relations: against tables and plain sums, and closed forms. */
import { describe, expect, test } from 'vitest';
import type { AttentionMap } from '../../../../src/shared/attention/attention-map.ts';
import { alignTokens } from '../../../../src/shared/attention/edit-script.ts';
import { compareMaps } from '../../../../src/shared/attention/map-difference.ts';
import { quantile, scoreRelation } from '../../../../src/shared/attention/relation-score.ts';
import { groupMap, groupTokens, lineRanges, wordRanges } from '../../../../src/shared/attention/token-groups.ts';
import { createRandom } from '../../support/random.ts';
import { mapOf, pointMap, randomMap, twentyMaps, uniformMap } from './random-maps.ts';
import { cellsOf, commonLength, mean, referenceJensenShannon } from './reference-metrics.ts';

const twenty = Array.from({ length: 20 }, (_, seed) => seed);
const draw = (random: () => number, count: number, below: number) =>
  Array.from({ length: count }, () => Math.floor(random() * below));
const identity = (size: number) => Array.from({ length: size }, (_, index) => [index, index] as const);

describe('edit script', () => {
  test.each(Array.from({ length: 200 }, (_, seed) => seed))(
    'random sequences %d: as many matches as the table finds',
    (seed) => {
      const random = createRandom(seed);
      const below = 1 + (seed % 6);
      const [a, b] = [draw(random, seed % 23, below), draw(random, (seed * 7) % 19, below)];
      const matches = alignTokens(a, b);
      expect(matches).toHaveLength(commonLength(a, b));
      matches.forEach(([x, y], index) => {
        expect(a[x]).toBe(b[y]);
        const [beforeX, beforeY] = matches[index - 1] ?? [-1, -1];
        expect(x > beforeX && y > beforeY).toBe(true);
      });
    },
  );

  test.each<[string, string, readonly (readonly number[])[]]>([
    ['', '', []],
    [
      'abc',
      'abc',
      [
        [0, 0],
        [1, 1],
        [2, 2],
      ],
    ],
    ['abc', '', []],
    ['abc', 'xyz', []],
    [
      'abc',
      'ac',
      [
        [0, 0],
        [2, 1],
      ],
    ],
    [
      'ac',
      'abc',
      [
        [0, 0],
        [1, 2],
      ],
    ],
    [
      'bc',
      'abc',
      [
        [0, 1],
        [1, 2],
      ],
    ],
    [
      'ab',
      'abc',
      [
        [0, 0],
        [1, 1],
      ],
    ],
    [
      'axc',
      'ayc',
      [
        [0, 0],
        [2, 2],
      ],
    ],
    ['aaa', 'a', [[0, 0]]],
  ])('%j and %j', (a, b, expected) => {
    expect(alignTokens([...a], [...b])).toEqual(expected);
  });

  test('two texts of 3,000 tokens without one in common are refused, nearly equal ones are not', () => {
    const a = Array.from({ length: 3000 }, (_, index) => index);
    expect(() =>
      alignTokens(
        a,
        a.map((x) => x + 5000),
      ),
    ).toThrow('more than 4096');
    expect(alignTokens(a, a.toSpliced(1500, 1, -1))).toHaveLength(2999);
  });
});

describe('difference of maps', () => {
  test.each(twenty)('random texts %d', (seed) => {
    const random = createRandom(seed);
    const [a, b] = [draw(random, 4 + (seed % 6), 4), draw(random, 3 + (seed % 7), 4)];
    const kind = seed % 2 ? 'causal' : 'bidirectional';
    const make = (size: number, salt: number) =>
      randomMap({ kind, queries: size, keys: size, seed: seed + salt, hasSink: seed % 3 === 0 });
    const [mapA, mapB] = [make(a.length, 0), make(b.length, 99)];
    const pairs = alignTokens(a, b);
    const { rows, unalignedQueriesA, unalignedQueriesB, meanBits } = compareMaps(mapA, mapB, {
      queries: pairs,
      keys: pairs,
    });
    expect(rows.map(({ queryA, queryB }) => [queryA, queryB])).toEqual(pairs);
    expect(unalignedQueriesA.length + pairs.length).toBe(a.length);
    expect(unalignedQueriesB.length + pairs.length).toBe(b.length);
    for (const row of rows) {
      const [p, q] = [
        [mapA, row.queryA, 0],
        [mapB, row.queryB, 1],
      ].map((side) => {
        const [map, query, at] = side as [AttentionMap, number, 0 | 1];
        const weights = cellsOf(map).filter((cell) => cell.query === query);
        const paired = pairs.map((pair) => weights.find(({ key }) => key === pair[at])?.weight ?? 0);
        const lone = weights
          .filter(({ key }) => !pairs.some((pair) => pair[at] === key))
          .reduce((sum, { weight }) => sum + weight, 0);
        expect(at === 0 ? row.unalignedA : row.unalignedB).toBeCloseTo(lone, 12);
        return [...paired, map.sinks?.[query] ?? 0, at === 0 ? lone : 0, at === 0 ? 0 : lone];
      });
      expect(row.divergenceBits).toBeCloseTo(referenceJensenShannon(p!, q!), 10);
    }
    if (rows.length > 0) expect(meanBits).toBeCloseTo(mean(rows.map((row) => row.divergenceBits))!, 12);
    else expect(meanBits).toBeUndefined();
  });

  const half = 1.5 - 0.75 * Math.log2(3);
  test.each<[string, AttentionMap, AttentionMap, number, number]>([
    ['equal maps', uniformMap('causal', 3), uniformMap('causal', 3), 3, 0],
    ['opposite heads', pointMap('bidirectional', 2, (q) => q), pointMap('bidirectional', 2, (q) => 1 - q), 2, 1],
    ['one key against two', pointMap('bidirectional', 2, (q) => q), uniformMap('bidirectional', 2), 2, half],
    ['half of the rows differ', pointMap('bidirectional', 2, () => 0), pointMap('bidirectional', 2, (q) => q), 2, 0.5],
    ['a learned sink is the same outcome', mapOf([[0.5]], { sinks: [0.5] }), mapOf([[0.5]], { sinks: [0.5] }), 1, 0],
    ['sink against key', mapOf([[0]], { sinks: [1] }), mapOf([[1]]), 1, 1],
    ['half a sink against none', mapOf([[0.5]], { sinks: [0.5] }), mapOf([[1]]), 1, half],
    ['cross maps', uniformMap('cross', 1, 4), uniformMap('cross', 1, 4), 1, 0],
    ['mass on a key that the other lacks', mapOf([[1]], { kind: 'cross' }), mapOf([[0, 1]], { kind: 'cross' }), 1, 1],
    ['half of it there', mapOf([[1]], { kind: 'cross' }), mapOf([[0.5, 0.5]], { kind: 'cross' }), 1, half],
  ])('%s', (_name, a, b, rows, expected) => {
    const alignment = { queries: identity(rows), keys: identity(Math.min(a.keys, b.keys)) };
    expect(compareMaps(a, b, alignment).meanBits).toBeCloseTo(expected, 12);
    expect(compareMaps(b, a, alignment).meanBits).toBeCloseTo(expected, 12);
  });

  test('refused', () => {
    const map = uniformMap('causal', 2);
    expect(() => compareMaps(map, uniformMap('bidirectional', 2), { queries: [], keys: [] })).toThrow(
      'no rows in common',
    );
    expect(() => compareMaps(map, map, { queries: [[0, 2]], keys: [] })).toThrow('does not fit');
    expect(() =>
      compareMaps(map, map, {
        queries: [
          [1, 1],
          [0, 0],
        ],
        keys: [],
      }),
    ).toThrow('does not fit');
    expect(compareMaps(map, map, { queries: [], keys: [] }).meanBits).toBeUndefined();
  });
});

describe('groups', () => {
  test.each(twentyMaps().map((map, index) => [index, map] as const))(
    'random map %d: sums over keys, means over queries',
    (seed, map) => {
      const random = createRandom(seed);
      const assign = (count: number) => ({ groupOf: draw(random, count, 3), groups: 3, crossing: [] });
      const [queries, keys] = [assign(map.queries), assign(map.keys)];
      const { weights, sinks } = groupMap(map, queries, keys);
      for (let row = 0; row < 3; row++) {
        const members = queries.groupOf.flatMap((group, query) => (group === row ? [query] : []));
        for (let column = 0; column < 3; column++) {
          const sums = members.map((query) =>
            cellsOf(map)
              .filter((c) => c.query === query && keys.groupOf[c.key] === column)
              .reduce((sum, { weight }) => sum + weight, 0),
          );
          expect(weights[row * 3 + column]).toBeCloseTo(mean(sums) ?? 0, 12);
        }
        const total = [0, 1, 2].reduce((sum, column) => sum + weights[row * 3 + column]!, 0) + sinks[row]!;
        expect(total).toBeCloseTo(members.length > 0 ? 1 : 0, 10);
      }
    },
  );

  const ranges = (...borders: [number, number][]) => borders.map(([start, end]) => ({ start, end }));
  test.each<[string, [number, number][], [number, number][], readonly number[], readonly number[]]>([
    [
      'a token a range',
      [
        [0, 2],
        [2, 5],
      ],
      [
        [0, 2],
        [2, 5],
      ],
      [0, 1],
      [],
    ],
    [
      'tokens of one word',
      [
        [0, 1],
        [1, 3],
      ],
      [[0, 3]],
      [0, 0],
      [],
    ],
    [
      'a special token is its own group',
      [
        [0, 0],
        [0, 3],
      ],
      [[0, 3]],
      [1, 0],
      [],
    ],
    [
      'outside all ranges',
      [
        [0, 3],
        [3, 4],
        [4, 6],
      ],
      [
        [0, 3],
        [4, 6],
      ],
      [0, 2, 1],
      [],
    ],
    [
      'a crossing token goes where most of it is',
      [[0, 5]],
      [
        [0, 2],
        [2, 5],
      ],
      [1],
      [0],
    ],
    [
      'a tie goes to the first',
      [[1, 3]],
      [
        [0, 2],
        [2, 4],
      ],
      [0],
      [0],
    ],
    ['reaching out of all ranges', [[0, 4]], [[1, 2]], [0], [0]],
    [
      'bytes of one character',
      [
        [0, 2],
        [0, 2],
      ],
      [[0, 2]],
      [0, 0],
      [],
    ],
    [
      'ranges in any order',
      [
        [0, 1],
        [1, 2],
      ],
      [
        [1, 2],
        [0, 1],
      ],
      [1, 0],
      [],
    ],
    [
      'no ranges',
      [
        [0, 1],
        [1, 2],
      ],
      [],
      [0, 1],
      [],
    ],
  ])('%s', (_name, tokens, borders, groupOf, crossing) => {
    const found = groupTokens(ranges(...tokens), ranges(...borders));
    expect(found.groupOf).toEqual(groupOf);
    expect(found.crossing).toEqual(crossing);
    expect(found.groups).toBe(Math.max(borders.length, ...groupOf.map((group) => group + 1)));
  });

  test('words and lines cover their text', () => {
    const cut = (text: string, found: readonly { start: number; end: number }[]) =>
      found.map(({ start, end }) => text.slice(start, end));
    expect(cut('let x = foo(1);', wordRanges('let x = foo(1);'))).toEqual([
      'let',
      ' x',
      ' =',
      ' foo',
      '(',
      '1',
      ')',
      ';',
    ]);
    expect(cut('a\n  b ', wordRanges('a\n  b '))).toEqual(['a', '\n', '  b', ' ']);
    expect(cut('a\r\n\nb', lineRanges('a\r\n\nb'))).toEqual(['a\r\n', '\n', 'b']);
    for (const text of ['', 'a', '\n', ' x\r\ny ', 'héllo wörld 😀\n', '日本語です'])
      for (const rangesOf of [wordRanges, lineRanges]) expect(cut(text, rangesOf(text)).join('')).toBe(text);
  });

  test('refused', () => {
    expect(() => groupTokens([], ranges([0, 3], [2, 4]))).toThrow('overlap');
    expect(() => groupTokens([], ranges([2, 2]))).toThrow('empty');
    expect(() => groupMap(uniformMap('causal', 2), { groupOf: [0], groups: 1, crossing: [] })).toThrow('do not fit');
  });
});

describe('relation', () => {
  test.each(twenty)('random map %d: score and matched baseline', (seed) => {
    const kind = seed % 2 ? 'causal' : 'bidirectional';
    const map = randomMap({ kind, queries: 9, keys: 9, seed, hasSink: seed % 3 === 0 });
    const random = createRandom(seed);
    const cells = cellsOf(map);
    const chosen = cells.filter(() => random() < 0.2);
    const isChosen = (cell: (typeof cells)[number]) => chosen.includes(cell);
    const rows = chosen.flatMap((cell) => {
      const others = cells
        .filter((other) => other.behind === cell.behind && !isChosen(other))
        .map(({ weight }) => weight);
      return others.length === 0 ? [] : [{ weight: cell.weight, baseline: mean(others)! }];
    });
    const found = scoreRelation(
      map,
      chosen.map(({ query, key }) => [query, key]),
      { resamples: 200, seed },
    );
    expect(found.score).toBeCloseTo(mean(rows.map(({ weight }) => weight))!, 12);
    expect(found.baseline).toBeCloseTo(mean(rows.map(({ baseline }) => baseline))!, 12);
    expect(found.difference).toBeCloseTo(found.score - found.baseline, 12);
    expect(found.pairs).toBe(rows.length);
    expect(found.unmatched).toBe(chosen.length - rows.length);
    expect(found.interval[0]).toBeLessThanOrEqual(found.interval[1]);
  });

  const previous = pointMap('causal', 6, (query) => Math.max(0, query - 1));
  test.each<[string, AttentionMap, [number, number][], readonly number[]]>([
    [
      'a fixed offset is no relation',
      previous,
      [
        [2, 1],
        [4, 3],
      ],
      [1, 1, 0, 0],
    ],
    [
      'uniform, bidirectional',
      uniformMap('bidirectional', 5),
      [
        [0, 1],
        [3, 2],
      ],
      [0.2, 0.2, 0, 0],
    ],
    [
      'a relation that the head follows',
      pointMap('bidirectional', 6, (q) => (q === 3 ? 1 : q)),
      [[3, 1]],
      [1, 0, 1, 1],
    ],
    ['a relation that it avoids', pointMap('bidirectional', 4, (q) => (q === 1 ? 3 : q)), [[1, 1]], [0, 1, -1, -1]],
    [
      'half',
      mapOf(
        [
          [0.5, 0.5],
          [0, 1],
        ],
        { kind: 'bidirectional' },
      ),
      [[0, 0]],
      [0.5, 1, -0.5, -0.5],
    ],
    [
      'two related rows of one kind',
      pointMap('bidirectional', 6, (q) => (q > 3 ? q - 2 : q)),
      [
        [4, 2],
        [5, 3],
      ],
      [1, 0, 1, 1],
    ],
    [
      'one of two pairs followed',
      pointMap('bidirectional', 6, (q) => (q === 4 ? 2 : q)),
      [
        [4, 2],
        [5, 3],
      ],
      [0.5, 0, 0.5, 0],
    ],
    [
      'a learned sink lowers both sides',
      mapOf(
        [
          [0.5, 0],
          [0, 0.25],
        ],
        { sinks: [0.5, 0.75] },
      ),
      [[0, 0]],
      [0.5, 0.25, 0.25, 0.25],
    ],
    [
      'with a cache',
      mapOf([
        [0, 1, 0],
        [0, 1, 0],
      ]),
      [[1, 1]],
      [1, 0, 1, 1],
    ],
    ['backwards', pointMap('bidirectional', 4, (q) => (q === 0 ? 2 : q)), [[0, 2]], [1, 0, 1, 1]],
  ])('%s', (_name, map, pairs, [score, baseline, difference, low]) => {
    const found = scoreRelation(map, pairs);
    expect(found.score).toBeCloseTo(score!, 12);
    expect(found.baseline).toBeCloseTo(baseline!, 12);
    expect(found.difference).toBeCloseTo(difference!, 12);
    expect(found.interval[0]).toBeCloseTo(low!, 12);
  });

  test('the interval is seeded, and holds the truth about 95 times of 100', () => {
    let hits = 0;
    for (let seed = 0; seed < 200; seed++) {
      const random = createRandom(seed);
      // Row 0..29: related weight uniform in 0..1, so that the true difference is 1/2 on a baseline of 0.
      const rows = Array.from({ length: 30 }, (_, q) => {
        const weight = random();
        return Array.from({ length: 60 }, (_value, key) => (key === 59 - q ? weight : key === q ? 1 - weight : 0));
      });
      const empty = Array.from({ length: 30 }, (_, q) =>
        Array.from({ length: 60 }, (_value, key) => (key === 30 + q ? 1 : 0)),
      );
      const map = mapOf([...rows, ...empty], { kind: 'bidirectional' });
      const { interval, difference, baseline } = scoreRelation(
        map,
        rows.map((_, q) => [q, 59 - q] as const),
        { resamples: 400, seed },
      );
      const truth = 0.5 - baseline;
      if (interval[0] <= truth && truth <= interval[1]) hits++;
      expect(interval[0]).toBeLessThanOrEqual(difference);
      expect(interval[1]).toBeGreaterThanOrEqual(difference);
    }
    expect(hits).toBeGreaterThan(176);
    expect(hits).toBeLessThan(200);
    const pairs = [
      [3, 1],
      [5, 3],
      [4, 4],
    ] as const;
    const map = randomMap({ kind: 'causal', queries: 8, keys: 8, seed: 5 });
    expect(scoreRelation(map, pairs, { seed: 4 })).toEqual(scoreRelation(map, pairs, { seed: 4 }));
  });

  test('quantiles lie between neighbours', () => {
    expect([0, 0.5, 1, 0.25].map((share) => quantile([1, 2, 4], share))).toEqual([1, 2, 4, 1.5]);
  });

  test('refused', () => {
    expect(() => scoreRelation(uniformMap('cross', 2, 2), [[0, 0]])).toThrow('not defined for cross');
    expect(() => scoreRelation(uniformMap('causal', 2), [[0, 5]])).toThrow('outside the map');
    expect(() =>
      scoreRelation(uniformMap('causal', 2), [
        [0, 0],
        [0, 0],
      ]),
    ).toThrow('named twice');
    expect(() => scoreRelation(uniformMap('causal', 2), [])).toThrow('No pair');
    expect(() => scoreRelation(uniformMap('causal', 2), [[1, 0]])).toThrow('No pair');
    expect(() => scoreRelation(uniformMap('causal', 3), [[1, 0]], { resamples: 3 })).toThrow('3 resamples');
  });
});
