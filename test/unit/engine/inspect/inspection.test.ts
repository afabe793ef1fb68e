import { describe, expect, it } from 'vitest';
import type { AttentionSpec, LayerTap } from '../../../../webview/engine/decoder.ts';
import { Inspection } from '../../../../webview/engine/inspect/inspection.ts';

const shape = { heads: 2, kvHeads: 1, headDim: 8 };

function wave(count: number, phase: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => 3 * Math.sin(i * 1.7 + phase));
}

function inspectionOf(tokens: number, spec: AttentionSpec = { scale: 0.5 }): Inspection {
  const tap = (phase: number): LayerTap => ({
    query: wave(shape.heads * tokens * shape.headDim, phase),
    key: wave(shape.kvHeads * tokens * shape.headDim, phase + 1),
    value: new Float32Array(shape.kvHeads * tokens * shape.headDim),
  });
  return new Inspection([tap(0), tap(5)], [spec, spec], shape);
}

describe('an inspection', () => {
  it('has rows that sum to 1 and see nothing that follows', () => {
    const n = 20;
    const map = inspectionOf(n).map(1, 1);
    for (let query = 0; query < n; query++) {
      const row = map.subarray(query * n, (query + 1) * n);
      expect(row.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 5);
      expect(row.subarray(query + 1).every((weight) => weight === 0)).toBe(true);
    }
  });

  it('leaves a sink its part of every row', () => {
    const n = 5;
    const plain = inspectionOf(n, { scale: 0.05 }).map(0, 1);
    const sunk = inspectionOf(n, { scale: 0.05, sinks: Float32Array.of(0, 0.7) }).map(0, 1);
    for (let query = 0; query < n; query++) {
      const rest = sunk.subarray(query * n, (query + 1) * n).reduce((sum, weight) => sum + weight, 0);
      expect(rest).toBeLessThan(1);
      for (let key = 0; key <= query; key++)
        expect(sunk[query * n + key]! / rest).toBeCloseTo(plain[query * n + key]!, 5);
    }
    // One key: exp(score) / (exp(score) + exp(0.7)).
    const tap = { query: wave(2 * n * 8, 0), key: wave(n * 8, 1) };
    let score = 0;
    for (let dim = 0; dim < 8; dim++) score += 0.05 * tap.query[n * 8 + dim]! * tap.key[dim]!;
    expect(sunk[0]).toBeCloseTo(1 / (1 + Math.exp(0.7 - score)), 5);
  });

  it.each([
    [7, 16],
    [16, 16],
    [40, 16],
    [37, 5],
  ])('draws %i tokens on %i cells with the largest weight that each cell covers', async (n, size) => {
    const inspection = inspectionOf(n);
    const pixels = await inspection.thumbnails([1, 0], size);
    expect(pixels).toHaveLength(2 * shape.heads * size * size);
    for (const [index, layer] of [1, 0].entries())
      for (let head = 0; head < shape.heads; head++) {
        const map = inspection.map(layer, head);
        const expected = new Uint8Array(size * size);
        for (let i = 0; i < n; i++)
          for (let j = 0; j <= i; j++)
            for (let row = 0; row < size; row++)
              for (let column = 0; column < size; column++) {
                const covers = (cell: number, token: number) =>
                  cell * n < (token + 1) * size && (cell + 1) * n > token * size;
                const at = row * size + column;
                if (covers(row, i) && covers(column, j))
                  expected[at] = Math.max(expected[at]!, Math.round(map[i * n + j]! * 255));
              }
        const start = (index * shape.heads + head) * size * size;
        expect(pixels.subarray(start, start + size * size)).toEqual(expected);
      }
  });

  it('counts its memory, and gives nothing once it is closed', () => {
    const inspection = inspectionOf(10);
    expect(inspection.sizeBytes).toBe(2 * (2 + 1 + 1) * 10 * 8 * 4);
    expect(() => inspection.map(2, 0)).toThrow('no head 0 in layer 2');
    expect(() => inspection.map(0, 2)).toThrow('no head 2 in layer 0');
    inspection.dispose();
    expect(() => inspection.map(0, 0)).toThrow(expect.objectContaining({ code: 'bad-input' }));
  });

  it('stops drawing when cancelled', async () => {
    await expect(inspectionOf(10).thumbnails([0], 4, AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
  });
});
