/** Random sets for controls, their ranges, and measures, in closed form. */
import { describe, expect, test } from 'vitest';
import { drawEdgeSets, drawHeadSets, summarise } from '../../../../../webview/engine/inspect/causal/control.ts';
import { divergenceBits, measureLogits } from '../../../../../webview/engine/inspect/causal/measure.ts';
import { hashOf } from '../../../../../webview/engine/inspect/causal/reference-hash.ts';

describe('sets of heads', () => {
  const tested = [
    { layer: 2, head: 1 },
    { layer: 2, head: 5 },
    { layer: 4, head: 0 },
  ];

  test('have the shape of the tested one, none of its heads, none twice, the same for a seed', () => {
    const { sets, note } = drawHeadSets(tested, 6, { sets: 20, seed: 3 });
    expect(note).toBeUndefined();
    expect(sets).toHaveLength(20);
    for (const set of sets) {
      expect(set.map(({ layer }) => layer)).toEqual([2, 2, 4]);
      expect(new Set(set.map(({ layer, head }) => `${layer}.${head}`)).size).toBe(3);
      for (const { layer, head } of set)
        expect(tested.some((own) => own.layer === layer && own.head === head)).toBe(false);
    }
    expect(new Set(sets.map((set) => JSON.stringify(set.map((head) => JSON.stringify(head)).sort()))).size).toBe(20);
    expect(drawHeadSets(tested, 6, { sets: 20, seed: 3 }).sets).toEqual(sets);
    expect(drawHeadSets(tested, 6, { sets: 20, seed: 4 }).sets).not.toEqual(sets);
  });

  test('are all that there are, and that is said', () => {
    const { sets, note } = drawHeadSets([{ layer: 0, head: 2 }], 4, { sets: 8, seed: 1 });
    expect(sets.map(([set]) => set!.head).sort()).toEqual([0, 1, 3]);
    expect(note).toBe('Only 3 of 8 sets of other heads of the same layers were to be had.');
  });

  test('draw each head about equally often', () => {
    const counts = new Array(9).fill(0);
    for (let seed = 0; seed < 4000; seed++)
      counts[drawHeadSets([{ layer: 0, head: 4 }], 9, { sets: 1, seed }).sets[0]![0]!.head]++;
    expect(counts[4]).toBe(0);
    for (const [head, count] of counts.entries()) if (head !== 4) expect(Math.abs(count - 500)).toBeLessThan(110);
  });
});

describe('sets of edges', () => {
  test('have the distances of the tested ones, earlier queries, and leave each query a key', () => {
    const { sets } = drawEdgeSets(
      [
        [9, 4],
        [9, 9],
        [3, 2],
      ],
      12,
      { sets: 30, seed: 7 },
    );
    expect(sets).toHaveLength(30);
    for (const set of sets) {
      expect(set.map(([query, key]) => query - key)).toEqual([5, 0, 1]);
      for (const [query, key] of set) {
        expect(query).toBeLessThanOrEqual(12);
        expect(key).toBeGreaterThanOrEqual(0);
        expect(set.filter((edge) => edge[0] === query).length).toBeLessThanOrEqual(query);
        expect(['9,4', '9,9', '3,2']).not.toContain(`${query},${key}`);
      }
    }
  });

  test('are none where there is no other edge as long', () => {
    const { sets, note } = drawEdgeSets([[5, 0]], 5, { sets: 3, seed: 1 });
    expect(sets).toEqual([]);
    expect(note).toContain('Only 0 of 3');
  });
});

test('mean and quantiles of type 7', () => {
  const request = { sets: 5, seed: 1 };
  const { mean, low, high } = summarise(request, {}, [4, 0, 1, 3, 2]);
  expect(mean).toBe(2);
  expect(low).toBeCloseTo(0.1, 12);
  expect(high).toBeCloseTo(3.9, 12);
  expect(summarise(request, {}, [0.5])).toMatchObject({ mean: 0.5, low: 0.5, high: 0.5 });
});

describe('measures', () => {
  const logs = (...p: number[]) => Float32Array.from(p, Math.log);
  test('of distributions that are known', () => {
    expect(divergenceBits(logs(0.5, 0.5), logs(0.25, 0.75))).toBeCloseTo(1 - Math.log2(3) / 2, 6);
    expect(divergenceBits(logs(0, 1), logs(0.5, 0.5))).toBeCloseTo(1, 6);
    expect(divergenceBits(logs(0.2, 0.8), logs(0.2, 0.8))).toBe(0);
    const logits = Float32Array.from([1000, 1000, 990]);
    expect(measureLogits({ kind: 'probability', token: 1 }, logits, logits)).toBeCloseTo(0.5, 4);
    expect(measureLogits({ kind: 'logit-difference', token: 0, against: 2 }, logits, logits)).toBe(10);
    expect(measureLogits({ kind: 'kl' }, logits, logits)).toBe(0);
  });
});

test('the hash of a set is FNV-1a and tells texts apart', () => {
  expect(hashOf([])).toBe('cbf29ce484222325');
  const hashes = [[[1, 2], [3]], [[1], [2, 3]], [[1, 2, 3]], [[3], [1, 2]]].map(hashOf);
  expect(new Set(hashes).size).toBe(4);
});
