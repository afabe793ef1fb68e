import { setFlagsFromString } from 'node:v8';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
import { createRandom } from '../../support/random.ts';

const base: BlockCase = { bits: 4, blockSize: 32, rows: 24, columns: 96, zeroPoints: 'one', scales: 'float16' };

const blockCases: [string, BlockCase, format: number][] = [
  ['one zero point, float16 scales', base, 3],
  ['one zero point, float32 scales', { ...base, scales: 'float32' }, 2],
  ['bfloat16 minima', { ...base, zeroPoints: 'minima' }, 1],
  ['zero points of 4 bits', { ...base, zeroPoints: 'uint8', columns: 160 }, 4],
  ['zero points of 4 bits, float32 scales', { ...base, zeroPoints: 'uint8', scales: 'float32' }, 0],
  ['float16 zero points', { ...base, zeroPoints: 'float16' }, 4],
  ['float32 zero points', { ...base, zeroPoints: 'float32' }, 0],
  ['blocks of 16', { ...base, blockSize: 16, zeroPoints: 'minima', columns: 112 }, 1],
  ['blocks of 16, an odd number', { ...base, blockSize: 16, columns: 75, rows: 11 }, 3],
  ['blocks of 16, float32', { ...base, blockSize: 16, zeroPoints: 'float32', scales: 'float32' }, 0],
  ['blocks of 64', { ...base, blockSize: 64, columns: 150 }, 3],
  ['blocks of 128', { ...base, blockSize: 128, columns: 300, zeroPoints: 'uint8' }, 4],
  ['blocks of 256', { ...base, blockSize: 256, columns: 300, zeroPoints: 'float32' }, 0],
  ['8 bits', { ...base, bits: 8, zeroPoints: 'minima' }, 1],
  ['8 bits, one zero point', { ...base, bits: 8, rows: 13, columns: 70 }, 3],
  ['8 bits, zero points of 8 bits', { ...base, bits: 8, zeroPoints: 'uint8', blockSize: 128, columns: 200 }, 4],
  ['8 bits, blocks of 16', { ...base, bits: 8, blockSize: 16, columns: 90, zeroPoints: 'float32' }, 0],
  ['rows and columns that are no multiples', { ...base, rows: 13, columns: 77 }, 3],
  ['one row, one column', { ...base, rows: 1, columns: 1 }, 3],
  ['long rows', { ...base, rows: 9, columns: 9000, zeroPoints: 'minima' }, 1],
  ['the largest numbers', { ...base, number: 255 }, 3],
  ['the largest numbers of 8 bits', { ...base, bits: 8, number: 255 }, 3],
  ['zeros', { ...base, number: 0 }, 3],
  ['subnormal scales', { ...base, scale: (x) => (x - 0.5) * 2 ** -16 }, 3],
  ['scales of 0', { ...base, scale: (x) => (x < 0.5 ? 0 : x) }, 3],
];

function floatWeight(type: 'float32' | 'float16' | 'bfloat16', rows: number, columns: number, isTransposed: boolean) {
  const random = createRandom(rows * columns);
  const values = Float32Array.from({ length: rows * columns }, () => random() - 0.5);
  const data =
    type === 'float32'
      ? values
      : type === 'float16'
        ? toHalves(values)
        : Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
  const dims = isTransposed ? [columns, rows] : [rows, columns];
  return { kind: 'float', rows, columns, isTransposed, tensor: tensorOf('floats', type, dims, data) } as const;
}

function channelWeight(type: 'int8' | 'uint8', rows: number, columns: number, isTransposed: boolean) {
  const random = createRandom(rows + columns);
  const bytes = Uint8Array.from({ length: rows * columns }, () => random() * 256);
  const dims = isTransposed ? [columns, rows] : [rows, columns];
  const scales = Float32Array.from({ length: rows }, () => 0.01 * random());
  const zeroPoints = Float32Array.from({ length: type === 'int8' ? 1 : rows }, () => Math.round(random() * 100));
  const tensor = tensorOf('channels', type, dims, bytes);
  return { kind: 'channels', rows, columns, isTransposed, tensor, scales, zeroPoints } as const;
}

const otherCases: [string, LinearWeight][] = [
  ['float32', floatWeight('float32', 13, 70, false)],
  ['float32, transposed', floatWeight('float32', 29, 301, true)],
  ['float32, transposed, columns longer than a slab', floatWeight('float32', 5000, 3, true)],
  ['float16', floatWeight('float16', 21, 515, false)],
  ['float16, transposed', floatWeight('float16', 8, 33, true)],
  ['bfloat16', floatWeight('bfloat16', 3, 700, false)],
  ['int8', channelWeight('int8', 13, 70, false)],
  ['int8, transposed', channelWeight('int8', 17, 45, true)],
  ['uint8', channelWeight('uint8', 9, 5000, false)],
  ['uint8, transposed, columns longer than a slab', channelWeight('uint8', 16_500, 9, true)],
];

const tokens = 9;

function activationsOf(columns: number, seed: number): Float32Array[] {
  const random = createRandom(seed);
  return Array.from({ length: tokens }, (_, token) =>
    Float32Array.from({ length: columns }, (_, column) => {
      if (token === 1) return 0;
      if (token === 2) return column % 2 ? -3 : 3; // every one quantises to 127 or -127
      return (random() - 0.5) * 2 ** Math.round((random() - 0.5) * 12);
    }),
  );
}

/** Activations after a rounding to int8 in blocks of 32, as float64. */
function quantised(row: Float32Array): Float64Array {
  const result = new Float64Array(row.length);
  for (let start = 0; start < row.length; start += 32) {
    const block = row.subarray(start, start + 32);
    const most = block.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0);
    const factor = Math.fround(127 / most);
    for (const [i, x] of block.entries()) {
      const q = most === 0 ? 0 : roundToEven(Math.fround(x * factor));
      result[start + i] = q * Math.fround(most / 127);
    }
  }
  return result;
}

function roundToEven(x: number): number {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

/** The largest error, relative to the sum of the products' sizes and of the parts of each weight. */
function worstError(
  results: readonly Float32Array[],
  rows: number,
  weight: (row: number) => Float64Array,
  activations: readonly (Float32Array | Float64Array)[],
  bias: Float32Array,
): number {
  let worst = 0;
  for (let row = 0; row < rows; row++) {
    const w = weight(row);
    const largest = w.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0);
    for (const [token, x] of activations.entries()) {
      let [sum, size] = [bias[row]!, Math.abs(bias[row]!) + 1e-30];
      for (let i = 0; i < w.length; i++) {
        sum += w[i]! * x[i]!;
        size += largest * Math.abs(x[i]!);
      }
      worst = Math.max(worst, Math.abs(results[token]![row]! - sum) / size);
    }
  }
  return worst;
}

describe.each(builds)('products, %s build', (build) => {
  it.each(blockCases)('%s: as in float64, in both arithmetics', async (_, shape, format) => {
    const weight = blockWeight(shape, 7);
    const matrix = new PackedMatrix(await openMachine(build), weight);
    expect(matrix.scaleFormat).toBe(format);
    checkBoth(matrix, weight);
  });

  it.each(otherCases)('%s: as in float64', async (_, weight) => {
    checkBoth(new PackedMatrix(await openMachine(build), weight), weight);
  });

  function checkBoth(matrix: PackedMatrix, weight: LinearWeight): void {
    const random = createRandom(3);
    const activations = activationsOf(weight.columns, 5);
    const bias = Float32Array.from({ length: Math.ceil(weight.rows / 8) * 8 }, () => random() - 0.5);
    const rows = weightRows(weight, read);
    const exact = matrix.multiply('float32', activations, bias);
    expect(worstError(exact, weight.rows, rows, activations, bias)).toBeLessThan(1e-6);
    if (weight.kind === 'float') return;
    const rounded = matrix.multiply('int8', activations, bias);
    expect(worstError(rounded, weight.rows, rows, activations.map(quantised), bias)).toBeLessThan(1e-6);
  }

  it.each([...blockCases.map(([name, shape]) => [name, blockWeight(shape, 7)] as const), ...otherCases])(
    '%s: the same bits for a token however many come with it',
    async (_, weight) => {
      const matrix = new PackedMatrix(await openMachine(build), weight);
      const activations = activationsOf(weight.columns, 11);
      const many = [...activations, ...activations, ...activations, ...activations]; // more than a tile
      for (const kind of weight.kind === 'float' ? (['float32'] as const) : (['float32', 'int8'] as const)) {
        const all = matrix.multiply(kind, activations);
        expect(isSame(matrix.multiply(kind, many), [...all, ...all, ...all, ...all])).toBe(true);
        for (const size of [1, 2, 5])
          for (let first = 0; first < tokens; first += size) {
            const part = matrix.multiply(kind, activations.slice(first, first + size));
            expect(isSame(part, all.slice(first, first + size)), `${kind}, ${size} from ${first}`).toBe(true);
          }
      }
    },
  );
});

describe('a dot product that adds', () => {
  // The first compiler of V8 in Node 20 adds the result to itself.
  beforeAll(() => setFlagsFromString('--no-liftoff'));
  afterAll(() => setFlagsFromString('--liftoff'));

  it.each(blockCases)('%s: the same bits', async (_, shape) => {
    const matrix = new PackedMatrix(await openMachine('relaxed'), blockWeight(shape, 7));
    const activations = activationsOf(shape.columns, 13);
    const multiply = (isFused: number) => {
      matrix.machine.exports.useFusedDot!(isFused);
      return matrix.multiply('int8', activations);
    };
    expect(isSame(multiply(1), multiply(0))).toBe(true);
  });
});

function isSame(a: readonly Float32Array[], b: readonly Float32Array[]): boolean {
  return a.length === b.length && a.every((row, i) => row.every((value, j) => Object.is(value, b[i]![j])));
}
