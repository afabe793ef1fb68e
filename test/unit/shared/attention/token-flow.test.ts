/** Rollout, norm-based contribution and value zeroing: against whole matrices and real little layers, and closed forms. */
import { describe, expect, test } from 'vitest';
import type { AttentionMap } from '../../../../src/shared/attention/attention-map.ts';
import { normContributions, outputGram, transformedNorms } from '../../../../src/shared/attention/norm-contribution.ts';
import { rolloutOf } from '../../../../src/shared/attention/rollout.ts';
import { valueZeroing } from '../../../../src/shared/attention/value-zeroing.ts';
import { createRandom } from '../../support/random.ts';
import { mapOf, normalFrom, pointMap, randomMap, twentyMaps, uniformMap } from './random-maps.ts';
import { referenceRollout } from './reference-metrics.ts';

const twenty = Array.from({ length: 20 }, (_, seed) => seed);
const normals = (random: () => number, count: number) => Array.from({ length: count }, () => normalFrom(random));
const sumOf = (values: ArrayLike<number>) => Array.from(values).reduce((sum, value) => sum + value, 0);
const point = (size: number, at: number) => Array.from({ length: size }, (_, index) => (index === at ? 1 : 0));

describe('rollout', () => {
  test.each(twenty)('random layers %d: the row of the product of matrices', (seed) => {
    const kind = seed % 2 ? 'causal' : 'bidirectional';
    const size = 2 + (seed % 9);
    const shape = {
      kind,
      queries: size,
      keys: size,
      hasSink: seed % 3 === 0,
      ...(seed % 4 === 1 && { window: 2 }),
    } as const;
    const layers = Array.from({ length: 1 + (seed % 5) }, (_, layer) =>
      randomMap({ ...shape, seed: 100 * seed + layer }),
    );
    const residual = seed % 5 === 4 ? 0.2 : 0.5;
    const target = (seed * 3) % size;
    const { shares, nullShares, learnedSink } = rolloutOf(layers, target, residual);
    const expected = referenceRollout(layers, target, residual);
    expected.forEach((share, token) => {
      expect(shares[token]).toBeCloseTo(share, 12);
    });
    expect(sumOf(shares) + learnedSink).toBeCloseTo(1, 12);
    expect(sumOf(nullShares)).toBeCloseTo(1, 12);
    const uniform = layers.map((map): AttentionMap => {
      const seen = (query: number, key: number) => {
        if (kind === 'bidirectional') return true;
        return key <= query && query - key < (map.window ?? size);
      };
      const weights = Array.from({ length: size * size }, (_, index) => {
        const [query, key] = [Math.floor(index / size), index % size];
        const count = Array.from({ length: size }, (_value, other) => other).filter((other) =>
          seen(query, other),
        ).length;
        return seen(query, key) ? 1 / count : 0;
      });
      return { ...map, weights };
    });
    referenceRollout(uniform, target, residual).forEach((share, token) => {
      expect(nullShares[token]).toBeCloseTo(share, 12);
    });
  });

  const previous = pointMap('causal', 5, (query) => Math.max(0, query - 1));
  test.each<[string, readonly AttentionMap[], number, number, readonly number[]]>([
    [
      'self heads keep the token',
      [pointMap('causal', 3, (q) => q), pointMap('causal', 3, (q) => q)],
      2,
      0.5,
      point(3, 2),
    ],
    ['one step back', [previous], 3, 0.5, [0, 0, 0.5, 0.5, 0]],
    ['two steps back: a binomial', [previous, previous], 4, 0.5, [0, 0, 0.25, 0.5, 0.25]],
    ['no residual: two steps back', [previous, previous], 4, 0, point(5, 2)],
    ['all residual', [previous, previous], 4, 1, point(5, 4)],
    ['the first token stays', [previous, previous], 0, 0.5, point(5, 0)],
    ['uniform, bidirectional', [uniformMap('bidirectional', 4)], 1, 0.5, [0.125, 0.625, 0.125, 0.125]],
    ['uniform, causal', [uniformMap('causal', 3)], 1, 0, [0.5, 0.5, 0]],
    [
      'the first layer comes last',
      [pointMap('causal', 3, () => 0), pointMap('causal', 3, (q) => q)],
      2,
      0,
      point(3, 0),
    ],
    [
      'mass on learned sinks leaves',
      [
        mapOf(
          [
            [0.4, 0],
            [0.2, 0.2],
          ],
          { sinks: [0.6, 0.6] },
        ),
      ],
      1,
      0.5,
      [0.1, 0.6],
    ],
    [
      'a square of a sink: what is left goes on',
      [mapOf([[0.5]], { sinks: [0.5] }), mapOf([[0.5]], { sinks: [0.5] })],
      0,
      0,
      [0.25],
    ],
  ])('%s', (_name, layers, target, residual, expected) => {
    const { shares } = rolloutOf(layers, target, residual);
    expected.forEach((share, token) => {
      expect(shares[token]).toBeCloseTo(share, 12);
    });
  });

  test('refused', () => {
    expect(() => rolloutOf([uniformMap('cross', 2, 2)], 0)).toThrow('not defined for cross');
    expect(() => rolloutOf([uniformMap('causal', 2)], 2)).toThrow('no token 2 of 2');
    expect(() => rolloutOf([], 0)).toThrow('no token 0 of 0');
    expect(() => rolloutOf([uniformMap('causal', 2), uniformMap('causal', 3)], 0)).toThrow('not of one text');
    expect(() => rolloutOf([uniformMap('causal', 2, 3)], 0)).toThrow('not of one text');
    expect(() => rolloutOf([uniformMap('causal', 2)], 0, 2)).toThrow('not between 0 and 1');
  });
});

describe('norm-based contribution', () => {
  const lengthOf = (values: readonly number[], output: readonly number[], headDim: number, weight: number) => {
    const width = output.length / headDim;
    const vector = Array.from({ length: width }, (_, column) =>
      values.reduce((sum, value, row) => sum + weight * value * output[row * width + column]!, 0),
    );
    return Math.hypot(...vector);
  };

  test.each(twentyMaps().map((map, index) => [index, map] as const))(
    'random head %d: lengths of the vectors',
    (seed, map) => {
      const random = createRandom(seed);
      const [headDim, width] = [1 + (seed % 6), 3 + (seed % 11)];
      const output = normals(random, headDim * width);
      const values = normals(random, map.keys * headDim);
      const found = normContributions(map, transformedNorms(values, outputGram(output, headDim)));
      found.forEach((contribution, index) => {
        const key = index % map.keys;
        const value = values.slice(key * headDim, (key + 1) * headDim);
        expect(contribution).toBeCloseTo(lengthOf(value, output, headDim, map.weights[index]!), 9);
      });
    },
  );

  test.each<[string, readonly number[], readonly number[], number, readonly number[]]>([
    ['an identity', [1, 0, 0, 1], [3, 4], 2, [5]],
    ['one column', [2, 0], [3, 9], 2, [6]],
    ['a value that the output ignores', [2, 0], [0, 9], 2, [0]],
    ['cancelling rows', [1, -1], [5, 5], 2, [0]],
    ['one dimension', [3, 4], [2], 1, [10]],
    ['a sign does not matter', [3, 4], [-2], 1, [10]],
    ['no value', [3, 4], [0], 1, [0]],
    ['several keys', [1, 0, 0, 2], [1, 0, 0, 1, 3, 2], 2, [1, 2, 5]],
    ['a rotation keeps lengths', [0.6, 0.8, -0.8, 0.6], [3, 4], 2, [5]],
    ['twice the output', [2, 0, 0, 2], [3, 4], 2, [10]],
  ])('%s', (_name, output, values, headDim, expected) => {
    const norms = transformedNorms(values, outputGram(output, headDim));
    expect(norms).toHaveLength(expected.length);
    expected.forEach((norm, key) => {
      expect(norms[key]).toBeCloseTo(norm, 12);
    });
  });

  test('a weight times a norm; refused sizes', () => {
    const map = mapOf(
      [
        [1, 0],
        [0.25, 0.25],
      ],
      { sinks: [0, 0.5] },
    );
    expect([...normContributions(map, [4, 8])]).toEqual([4, 0, 1, 2]);
    expect(() => normContributions(map, [1])).toThrow('1 norms');
    expect(() => outputGram([1, 2, 3], 2)).toThrow('no output projection');
    expect(() => transformedNorms([1, 2, 3], [1, 0, 0, 1])).toThrow('no values');
  });
});

describe('value zeroing', () => {
  /** A layer of one head with a residual: x + A V, the values of one token at 0. */
  const layer = (map: AttentionMap, inputs: readonly (readonly number[])[], values: readonly (readonly number[])[]) => {
    return async (zeroed: number | undefined) =>
      inputs.flatMap((input, query) =>
        input.map((x, column) =>
          values.reduce(
            (sum, value, key) => sum + (key === zeroed ? 0 : map.weights[query * map.keys + key]! * value[column]!),
            x,
          ),
        ),
      );
  };
  const rowsOf = (random: () => number, count: number, width: number) =>
    Array.from({ length: count }, () => normals(random, width));

  test.each(twenty)('random layer %d: angles between the outputs', async (seed) => {
    const random = createRandom(seed);
    const [tokens, width] = [1 + (seed % 7), 2 + (seed % 4)];
    const map = randomMap({
      kind: seed % 2 ? 'causal' : 'bidirectional',
      queries: tokens,
      keys: tokens,
      seed,
      hasSink: seed % 3 === 0,
    });
    const [inputs, values] = [rowsOf(random, tokens, width), rowsOf(random, tokens, width)];
    const { distances, scores } = await valueZeroing(tokens, layer(map, inputs, values));
    const outputs = (zeroed: number, query: number) =>
      inputs[query]!.map(
        (x, c) => x + values.reduce((s, v, k) => s + (k === zeroed ? 0 : map.weights[query * tokens + k]! * v[c]!), 0),
      );
    for (let query = 0; query < tokens; query++) {
      const turned = Array.from({ length: tokens }, (_, zeroed) => {
        const unit = (vector: readonly number[]) => vector.map((x) => x / Math.hypot(...vector));
        const [a, b] = [unit(outputs(-1, query)), unit(outputs(zeroed, query))];
        // Half the squared chord is 1 - cos.
        return a.reduce((sum, x, c) => sum + (x - b[c]!) ** 2, 0) / 2;
      });
      turned.forEach((distance, zeroed) => {
        expect(distances[query * tokens + zeroed]).toBeCloseTo(distance, 10);
        expect(scores[query * tokens + zeroed]).toBeCloseTo(distance / sumOf(turned), 6);
      });
    }
  });

  const self = pointMap('bidirectional', 2, (q) => q);
  const swap = pointMap('bidirectional', 2, (q) => 1 - q);
  const zeros = [
    [0, 0],
    [0, 0],
  ];
  const axes = [
    [1, 0],
    [0, 1],
  ];
  test.each<[string, AttentionMap, typeof zeros, typeof zeros, readonly number[], readonly number[]]>([
    ['a self head without residual', self, zeros, axes, [1, 0, 0, 1], [1, 0, 0, 1]],
    ['a head that swaps', swap, zeros, axes, [0, 1, 1, 0], [0, 1, 1, 0]],
    ['values of 0', self, axes, zeros, [0, 0, 0, 0], [0, 0, 0, 0]],
    ['a value along the residual only lengthens', self, axes, axes, [0, 0, 0, 0], [0, 0, 0, 0]],
    ['a right angle undone by half', swap, axes, axes, [0, 1 - Math.SQRT1_2, 1 - Math.SQRT1_2, 0], [0, 1, 1, 0]],
    [
      'an output turned round',
      self,
      axes,
      [
        [-2, 0],
        [0, -2],
      ],
      [2, 0, 0, 2],
      [1, 0, 0, 1],
    ],
    [
      'both alike',
      uniformMap('bidirectional', 2),
      zeros,
      axes,
      [1 - Math.SQRT1_2, 1 - Math.SQRT1_2, 1 - Math.SQRT1_2, 1 - Math.SQRT1_2],
      [0.5, 0.5, 0.5, 0.5],
    ],
    ['the first token only', pointMap('causal', 2, () => 0), zeros, axes, [1, 0, 1, 0], [1, 0, 1, 0]],
    [
      'causal: the later token changes nothing before it',
      uniformMap('causal', 2),
      zeros,
      axes,
      [1, 0, 1 - Math.SQRT1_2, 1 - Math.SQRT1_2],
      [1, 0, 0.5, 0.5],
    ],
    [
      'one of two values is 0',
      uniformMap('bidirectional', 2),
      zeros,
      [
        [1, 0],
        [0, 0],
      ],
      [1, 0, 1, 0],
      [1, 0, 1, 0],
    ],
  ])('%s', async (_name, map, inputs, values, distances, scores) => {
    const found = await valueZeroing(2, layer(map, inputs, values));
    distances.forEach((distance, index) => {
      expect(found.distances[index]).toBeCloseTo(distance, 12);
      expect(found.scores[index]).toBeCloseTo(scores[index]!, 12);
    });
  });

  test('progress, cancel, refusals', async () => {
    const run = layer(self, axes, axes);
    const seen: number[] = [];
    await valueZeroing(2, run, { progress: (done) => seen.push(done) });
    expect(seen).toEqual([1, 2]);
    const cancel = new AbortController();
    const stopped = valueZeroing(2, run, { signal: cancel.signal, progress: () => cancel.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    await expect(valueZeroing(257, run)).rejects.toMatchObject({ code: 'bad-input' });
    await expect(valueZeroing(3, run)).rejects.toThrow('no outputs of 3 tokens');
    const shrinking = async (zeroed: number | undefined) => (zeroed === undefined ? [1, 2] : [1]);
    await expect(valueZeroing(2, shrinking)).rejects.toThrow('A run gave 1');
  });
});
