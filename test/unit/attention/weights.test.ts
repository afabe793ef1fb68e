import { describe, expect, it } from 'vitest';
import { segmentsOf, shadesOf, weightAt, weightsOf } from '../../../src/shared/attention/weights.ts';

const map = { tokens: 3, weights: Float32Array.of(1, 0, 0, 0.25, 0.75, 0, 0.5, 0.25, 0.25) };

describe('rows and columns', () => {
  it('gives the row of a query, without what comes after it', () => {
    expect(weightsOf(map, 1, 'attends')).toEqual([0.25, 0.75, undefined]);
  });

  it('gives the column of a key, without what comes before it', () => {
    expect(weightsOf(map, 1, 'attended')).toEqual([undefined, 0.75, 0.25]);
  });

  it('has no weight, not even 0, for a key after the query', () => {
    expect(weightAt(map, 0, 2)).toBeUndefined();
    expect(weightAt(map, 2, 0)).toBe(0.5);
  });
});

describe('segments', () => {
  it('are the tokens where none overlaps, without empty ones and gaps', () => {
    const tokens = [
      { start: 0, end: 0 },
      { start: 0, end: 2 },
      { start: 2, end: 5 },
      { start: 7, end: 8 },
    ];
    expect(segmentsOf(tokens)).toEqual([
      { start: 0, end: 2, tokens: [1] },
      { start: 2, end: 5, tokens: [2] },
      { start: 7, end: 8, tokens: [3] },
    ]);
  });

  it('are cut where tokens overlap', () => {
    const tokens = [
      { start: 0, end: 3 },
      { start: 1, end: 3 },
      { start: 1, end: 3 },
    ];
    expect(segmentsOf(tokens)).toEqual([
      { start: 0, end: 1, tokens: [0] },
      { start: 1, end: 3, tokens: [0, 1, 2] },
    ]);
  });

  it('are shaded by the largest weight, and not at all below the lowest level', () => {
    const segments = segmentsOf([
      { start: 0, end: 1 },
      { start: 1, end: 3 },
      { start: 1, end: 3 },
      { start: 3, end: 4 },
    ]);
    const shades = shadesOf(segments, [0.0005, 0.1, 0.3, undefined]);
    expect(shades).toEqual([{ start: 1, end: 3, tokens: [1, 2], weight: 0.3, level: 9 }]);
  });
});
