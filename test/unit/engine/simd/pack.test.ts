import { describe, expect, it } from 'vitest';
import { AppError } from '../../../../src/shared/app-error.ts';
import { packMatrix } from '../../../../webview/engine/runtime/simd/pack-weights.ts';
import type { BlockWeight, LinearWeight } from '../../../../webview/engine/runtime/simd/plan.ts';
import { readBundledWeights } from '../../support/bundled-weights.ts';
import { type BlockCase, blockWeight, openMachine, PackedMatrix, read, tensorOf } from '../../support/packed-matrix.ts';
import { weightRows } from '../../support/plan-weights.ts';

const base: BlockCase = { bits: 4, blockSize: 32, rows: 16, columns: 64, zeroPoints: 'float32', scales: 'float32' };
const valid = blockWeight(base, 1);

describe('packing', () => {
  it('lays the bundled model out with its exact minima, in the smallest format', async () => {
    const machine = await openMachine('relaxed');
    const bundled = readBundledWeights();
    const formats = bundled.weights.map((weight) => {
      const { descriptor, activationBlock } = packMatrix(machine, weight, bundled.read);
      expect(activationBlock).toBe(32);
      return machine.words(descriptor, 5)[4];
    });
    expect(formats.slice(0, -1).every((format) => format === 1)).toBe(true);
    expect(formats).toHaveLength(211);
    expect(formats.at(-1)).toBe(3);
    expect(machine.sizeBytes).toBeLessThan(1.05 * 98_673_920);
  });

  it.each([0, 1, 5, 6, 210])('gives back rows of matrix %i of the bundled model', async (index) => {
    const bundled = readBundledWeights();
    const weight = bundled.weights[index]!;
    const matrix = new PackedMatrix(await openMachine('relaxed'), weight, bundled.read);
    const rows = [0, 1, 7, 8, weight.rows - 1, Math.floor(weight.rows / 3)];
    const expected = weightRows(weight, bundled.read);
    for (const [i, row] of matrix.gather(rows).entries()) {
      const wanted = expected(rows[i]!);
      const largest = wanted.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0);
      // The file's zero points are rounded to float16; the packed minima are the exact ones.
      const bound = typeof weight.zeroPoints === 'number' ? 0 : largest * 2 ** -10;
      for (const [column, value] of row.entries()) expect(Math.abs(value - wanted[column]!)).toBeLessThanOrEqual(bound);
    }
  });

  it('takes weights a thousand times longer than its buffer in slabs', async () => {
    const weight = blockWeight({ ...base, rows: 24, columns: 40_000, zeroPoints: 'uint8' }, 2);
    const matrix = new PackedMatrix(await openMachine('relaxed'), weight);
    const expected = weightRows(weight, read);
    for (const [i, row] of matrix.gather([0, 23]).entries()) {
      const wanted = expected([0, 23][i]!);
      expect(row.every((value, column) => Math.abs(value - wanted[column]!) < 1e-6)).toBe(true);
    }
  });

  it.each<[string, LinearWeight, code: string, message: RegExp]>([
    ['quantised numbers that are cut', cut('quantised'), 'model-damaged', /quantised.*511 bytes instead of 512/],
    ['scales that are cut', cut('scales'), 'model-damaged', /scales.*127 bytes instead of 128/],
    ['zero points that are cut', cut('zeroPoints'), 'model-damaged', /zero points.*127 bytes instead of 128/],
    ['a scale that is no number', withScale(Number.NaN), 'model-damaged', /scales.*not finite/],
    ['an infinite scale', withScale(Number.POSITIVE_INFINITY), 'model-damaged', /scales.*not finite/],
    ['infinite float16 scales', withHalves(0x7c00), 'model-damaged', /scales.*not finite/],
    ['scales of int32', { ...valid, scales: { ...valid.scales, type: 'int32' } }, 'model-unsupported', /scales.*int32/],
    ['floats that are no numbers', floats(Float32Array.of(1, Number.NaN)), 'model-damaged', /floats.*not finite/],
    ['float16 that is infinite', floats(Uint16Array.of(0, 0xfc00)), 'model-damaged', /floats.*not finite/],
    ['too few floats', { ...floats(Float32Array.of(1, 2)), columns: 3 }, 'model-damaged', /8 bytes instead of 12/],
    ['scales of other rows', channels(Float32Array.of(1, 2)), 'model-damaged', /channels.*3 rows, but 2/],
    ['channels of floats', { ...channels(Float32Array.of(1)), ...channelFloats() }, 'model-unsupported', /float32/],
  ])('refuses %s, naming the tensor', async (_, weight, code, message) => {
    const machine = await openMachine('plain');
    const pack = () => packMatrix(machine, weight, read);
    expect(pack).toThrow(message);
    expect(pack).toThrow(AppError);
    expect(pack).toThrow(expect.objectContaining({ code }));
  });
});

function cut(name: 'quantised' | 'scales' | 'zeroPoints'): BlockWeight {
  const ref = valid[name];
  if (typeof ref === 'number') throw new TypeError('There is no tensor to cut.');
  return { ...valid, [name]: { ...ref, source: { bytes: read(ref).subarray(1) } } };
}

function withScale(value: number): BlockWeight {
  return { ...valid, scales: tensorOf('scales', 'float32', [16, 2], new Float32Array(32).fill(1).with(9, value)) };
}

function withHalves(bits: number): BlockWeight {
  return { ...valid, scales: tensorOf('scales', 'float16', [16, 2], new Uint16Array(32).fill(bits)) };
}

function floats(data: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>): LinearWeight {
  const type = data instanceof Float32Array ? 'float32' : 'float16';
  return { kind: 'float', rows: 1, columns: 2, isTransposed: false, tensor: tensorOf('floats', type, [1, 2], data) };
}

function channels(scales: Float32Array): LinearWeight {
  const tensor = tensorOf('channels', 'int8', [3, 4], new Int8Array(12));
  return {
    kind: 'channels',
    rows: 3,
    columns: 4,
    isTransposed: false,
    tensor,
    scales,
    zeroPoints: new Float32Array(1),
  };
}

function channelFloats() {
  return { tensor: tensorOf('channels', 'float32', [3, 4], new Float32Array(12)) };
}
