/** Weights as files have them, made up for tests, and packed into a machine of their own. */
import { compileKernels } from '../../../scripts/kernels.mjs';
import { Machine } from '../../../webview/engine/runtime/simd/machine.ts';
import { packMatrix } from '../../../webview/engine/runtime/simd/pack-weights.ts';
import type { BlockWeight, LinearWeight, TensorRef, TensorType } from '../../../webview/engine/runtime/simd/plan.ts';
import type { Build } from './kernels.ts';
import { createRandom } from './random.ts';

let compiled: ReturnType<typeof compileKernels> | undefined;

export async function openMachine(build: Build): Promise<Machine> {
  compiled ??= compileKernels();
  return Machine.open({ [build]: (await compiled)[build] });
}

/** A tensor whose bytes begin at an odd address. */
export function tensorOf(
  name: string,
  type: TensorType,
  dims: readonly number[],
  data: ArrayBufferView<ArrayBuffer>,
): TensorRef {
  const bytes = new Uint8Array(data.byteLength + 1).subarray(1);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return { name, type, dims, source: { bytes } };
}

export function read({ source }: TensorRef): Uint8Array {
  if ('bytes' in source) return source.bytes;
  throw new Error(`${source.file} is not here.`);
}

export interface BlockCase {
  readonly bits: 4 | 8;
  readonly blockSize: BlockWeight['blockSize'];
  readonly rows: number;
  readonly columns: number;
  /** `minima`: float32, made of minima that bfloat16 has exactly. */
  readonly zeroPoints: 'one' | 'minima' | 'uint8' | 'float16' | 'float32';
  readonly scales: 'float32' | 'float16';
  /** Sizes of scales; default 0.001 to 0.1, a third of them negative. */
  readonly scale?: (random: number) => number;
  readonly number?: number;
}

export function blockWeight(shape: BlockCase, seed: number): BlockWeight {
  const { bits, blockSize, rows, columns } = shape;
  const random = createRandom(seed);
  const blocks = Math.ceil(columns / blockSize);
  const count = rows * blocks;
  const quantised = Uint8Array.from({ length: (count * blockSize * bits) / 8 }, () =>
    shape.number === undefined ? random() * 256 : shape.number,
  );
  const scaleOf = shape.scale ?? ((x: number) => (x < 0.33 ? -1 : 1) * (0.001 + 0.1 * x));
  const wanted = Float32Array.from({ length: count }, () => scaleOf(random()));
  const halves = toHalves(wanted);
  const scales =
    shape.scales === 'float16'
      ? tensorOf('scales', 'float16', [rows, blocks], halves)
      : tensorOf('scales', 'float32', [rows, blocks], wanted);
  const exact = shape.scales === 'float16' ? Float32Array.from(halves, halfValue) : wanted;
  const most = 2 ** bits;
  return {
    ...{ kind: 'blocks', bits, blockSize, rows, columns, scales },
    quantised: tensorOf('quantised', 'uint8', [rows, blocks, (blockSize * bits) / 8], quantised),
    zeroPoints: zeroPointsOf(shape, exact, () => random() * most),
  };
}

function zeroPointsOf(
  { bits, rows, columns, blockSize, zeroPoints: kind }: BlockCase,
  scales: Float32Array,
  random: () => number,
): BlockWeight['zeroPoints'] {
  const blocks = Math.ceil(columns / blockSize);
  const points = scales.map(() => random());
  switch (kind) {
    case 'one':
      return 2 ** (bits - 1);
    case 'uint8': {
      const rowBytes = bits === 4 ? Math.ceil(blocks / 2) : blocks;
      const packed = Uint8Array.from({ length: rows * rowBytes }, () => random() * 2 ** (8 - bits));
      return tensorOf('zero points', 'uint8', [rows, rowBytes], packed);
    }
    case 'float16':
      return tensorOf('zero points', 'float16', [rows, blocks], toHalves(points));
    case 'float32':
      return tensorOf('zero points', 'float32', [rows, blocks], points);
    case 'minima': {
      const minima = new Uint32Array(points.map((point, i) => -point * scales[i]!).buffer).map(
        (bits) => bits & ~0xffff,
      );
      const exact = new Float32Array(minima.buffer);
      return tensorOf(
        'zero points',
        'float32',
        [rows, blocks],
        points.map((_, i) => -exact[i]! / scales[i]!),
      );
    }
  }
}

/** Nearest float16 numbers of what float16 can hold, away from zero in a tie. */
export function toHalves(values: Float32Array): Uint16Array<ArrayBuffer> {
  return Uint16Array.from(values, (value) => {
    const size = Math.abs(value);
    const exponent = Math.max(-14, Math.floor(Math.log2(size || 1e-30)));
    const fraction = Math.round((size / 2 ** exponent) * 1024);
    return (value < 0 ? 0x8000 : 0) + (exponent + 14) * 1024 + fraction;
  });
}

function halfValue(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const size = exponent ? (1 + (bits & 1023) / 1024) * 2 ** (exponent - 15) : (bits & 1023) * 2 ** -24;
  return bits & 0x8000 ? -size : size;
}

/** Inputs and outputs of products with one packed matrix. */
export class PackedMatrix {
  readonly machine: Machine;
  readonly descriptor: number;
  readonly #weight: LinearWeight;

  constructor(machine: Machine, weight: LinearWeight, readTensor = read) {
    this.machine = machine;
    this.#weight = weight;
    this.descriptor = packMatrix(machine, weight, readTensor).descriptor;
  }

  get scaleFormat(): number {
    return this.machine.words(this.descriptor, 5)[4]!;
  }

  /** [row][rows of the matrix]. What lies between the rows of activations is not a number. */
  multiply(kind: 'int8' | 'float32', activations: readonly Float32Array[], bias?: Float32Array): Float32Array[] {
    const { machine } = this;
    const { rows, columns } = this.#weight;
    const stride = Math.ceil(columns / 8) * 8 + 8;
    const toStride = Math.ceil(rows / 8) * 8;
    const from = machine.allocate(4 * stride * activations.length);
    machine.floats(from, stride * activations.length).fill(Number.NaN);
    for (const [i, row] of activations.entries()) machine.floats(from + 4 * stride * i, columns).set(row);
    const count = activations.length;
    const biasAt = bias ? machine.store(bias) : 0;
    const quantised = machine.allocate(machine.exports.quantisedBytes(count, columns));
    const to = machine.allocate(4 * toStride * count);
    if (kind === 'int8') {
      machine.exports.quantiseRows!(from, stride, count, columns, quantised);
      machine.exports.linearQuantised!(this.descriptor, count, quantised, biasAt, to, toStride);
    } else machine.exports.linearFloat!(this.descriptor, count, from, stride, biasAt, to, toStride);
    return activations.map((_, i) => machine.floats(to + 4 * toStride * i, rows).slice());
  }

  gather(indexes: readonly number[]): Float32Array[] {
    const { machine } = this;
    const { columns } = this.#weight;
    const at = machine.store(Int32Array.from(indexes));
    const to = machine.allocate(4 * columns * indexes.length);
    machine.exports.gatherRows!(this.descriptor, at, indexes.length, to, columns);
    return indexes.map((_, i) => machine.floats(to + 4 * columns * i, columns).slice());
  }
}
