import { describe, expect, it } from 'vitest';
import type { LinearWeight } from '../../../../webview/engine/runtime/simd/plan.ts';
import { builds } from '../../support/kernels.ts';
import {
  type BlockCase,
  blockWeight,
  openMachine,
  PackedMatrix,
  read,
  tensorOf,
  toHalves,
} from '../../support/packed-matrix.ts';
import { weightRows } from '../../support/plan-weights.ts';

const base: BlockCase = { bits: 4, blockSize: 32, rows: 21, columns: 75, zeroPoints: 'one', scales: 'float16' };
const values = Float32Array.from({ length: 21 * 75 }, (_, i) => Math.sin(i));

const cases: [string, LinearWeight, error: number][] = [
  ['4 bits, one zero point', blockWeight(base, 1), 0],
  ['4 bits, zero points of 4 bits', blockWeight({ ...base, zeroPoints: 'uint8', rows: 13 }, 2), 0],
  ['4 bits, minima', blockWeight({ ...base, zeroPoints: 'minima' }, 3), 1e-6],
  ['4 bits, blocks of 16', blockWeight({ ...base, blockSize: 16 }, 4), 0],
  ['8 bits, one zero point', blockWeight({ ...base, bits: 8 }, 5), 0],
  ['8 bits, blocks of 16', blockWeight({ ...base, bits: 8, blockSize: 16, zeroPoints: 'uint8' }, 6), 0],
  ['float32', floats('float32', values), 0],
  ['float16', floats('float16', toHalves(values)), 0],
];

function floats(type: 'float32' | 'float16', data: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>): LinearWeight {
  return { kind: 'float', rows: 21, columns: 75, isTransposed: false, tensor: tensorOf('table', type, [21, 75], data) };
}

describe.each(builds)('rows of a table, %s build', (build) => {
  it.each(cases)('%s: are what the file says', async (_, weight, error) => {
    const matrix = new PackedMatrix(await openMachine(build), weight);
    const rows = [3, 0, weight.rows - 1, 3, 8, 7];
    const expected = weightRows(weight, read);
    for (const [i, row] of matrix.gather(rows).entries()) {
      const wanted = Float32Array.from(expected(rows[i]!));
      for (const [column, value] of row.entries())
        expect(Math.abs(value - wanted[column]!), `row ${rows[i]}, column ${column}`).toBeLessThanOrEqual(error);
    }
  });
});
