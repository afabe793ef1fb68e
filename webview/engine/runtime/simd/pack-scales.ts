/** Scales and zero points of a quantised matrix, in the smallest format of docs/simd-runtime.md that has them exactly. */
import { AppError } from '../../../../src/shared/app-error.ts';
import { brainFloatToFloat } from '../../graph/half.ts';
import { exactZeroPoints } from '../../graph/zero-points.ts';
import type { BlockWeight, ChannelWeight, TensorRef } from './plan.ts';

export type ReadTensor = (ref: TensorRef) => Uint8Array;

export interface PackedScales {
  readonly format: 0 | 1 | 2 | 3 | 4;
  /** Of the whole matrix, in the formats 2 and 3. */
  readonly zeroPoint: number;
  /** Blocks of a row. */
  readonly perRow: number;
  readonly scales: Float32Array; // [row, block]
  /** Minima in the formats 0 and 1, zero points in 4. */
  readonly offsets: Float32Array | undefined; // [row, block]
}

/** @throws AppError `model-damaged` naming the tensor, `model-unsupported`. */
export function blockScales(weight: BlockWeight, read: ReadTensor): PackedScales {
  const { rows, columns, blockSize, zeroPoints } = weight;
  const perRow = Math.ceil(columns / blockSize);
  const count = rows * perRow;
  const scales = readFloats(weight.scales, count, read);
  if (typeof zeroPoints === 'number') return withZeroPoint(scales, perRow, zeroPoints);
  if (zeroPoints.type === 'uint8')
    return withZeroPoints(scales, perRow, readIntegers(weight, zeroPoints, perRow, read));
  const points = readFloats(zeroPoints, count, read);
  const exact = zeroPoints.type === 'float16' ? exactZeroPoints(points, scales) : undefined;
  return withZeroPoints(scales, perRow, exact ?? points);
}

/** @throws AppError `model-damaged` naming the tensor. */
export function channelScales({ rows, tensor, scales, zeroPoints }: ChannelWeight): PackedScales {
  const spread = (values: Float32Array) => {
    if (values.length !== 1 && values.length !== rows)
      throw damaged(tensor, `has ${rows} rows, but ${values.length} scales or zero points`);
    checkFinite(tensor, values, 'scales or zero points');
    return values.length === 1 ? new Float32Array(rows).fill(values[0]!) : values;
  };
  const shift = tensor.type === 'int8' ? 128 : 0;
  return withZeroPoints(
    spread(scales),
    1,
    spread(zeroPoints).map((point) => point + shift),
  );
}

function withZeroPoint(scales: Float32Array, perRow: number, zeroPoint: number): PackedScales {
  return { format: areHalves(scales) ? 3 : 2, zeroPoint, perRow, scales, offsets: undefined };
}

function withZeroPoints(scales: Float32Array, perRow: number, points: Float32Array): PackedScales {
  if (points.every((point) => point === points[0])) return withZeroPoint(scales, perRow, points[0]!);
  const minima = points.map((point, i) => -point * scales[i]!);
  const isHalf = areHalves(scales);
  if (isHalf && areBrainFloats(minima)) return { format: 1, zeroPoint: 0, perRow, scales, offsets: minima };
  if (isHalf && areHalves(points)) return { format: 4, zeroPoint: 0, perRow, scales, offsets: points };
  return { format: 0, zeroPoint: 0, perRow, scales, offsets: minima };
}

/** All are exact as float16. */
function areHalves(values: Float32Array): boolean {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) {
    const size = bits[i]! & 0x7fff_ffff;
    if (size >= 0x3880_0000) {
      if (size >= 0x4780_0000 || size & 0x1fff) return false;
    } else if (!Number.isInteger(values[i]! * 2 ** 24)) return false; // subnormal
  }
  return true;
}

/** All are bfloat16 up to the rounding of a quotient and a product in float32. */
function areBrainFloats(values: Float32Array): boolean {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) {
    if (((bits[i]! + 2) & 0xffff) > 4) return false;
  }
  return true;
}

/** Bytes of a tensor, checked. @throws AppError `model-damaged` naming it. */
export function readBytes(ref: TensorRef, sizeBytes: number, read: ReadTensor): Uint8Array {
  const bytes = read(ref);
  if (bytes.length === sizeBytes) return bytes;
  throw damaged(ref, `has ${bytes.length} bytes instead of ${sizeBytes}`);
}

function readFloats(ref: TensorRef, count: number, read: ReadTensor): Float32Array {
  const { type } = ref;
  if (type !== 'float32' && type !== 'float16' && type !== 'bfloat16') throw unsupported(ref, `is ${type}, not floats`);
  const buffer = readBytes(ref, count * (type === 'float32' ? 4 : 2), read).slice().buffer; // aligned
  const values =
    type === 'float32'
      ? new Float32Array(buffer)
      : (type === 'float16' ? halvesToFloats : brainFloatToFloat)(new Uint16Array(buffer));
  checkFinite(ref, values, 'numbers');
  return values;
}

/** Millions at a load: a shift and a product each. */
function halvesToFloats(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = ((halves[i]! & 0x8000) << 16) | ((halves[i]! & 0x7fff) << 13);
  const floats = new Float32Array(words.buffer);
  // An exponent of 31 stands for what is not finite.
  for (let i = 0; i < floats.length; i++)
    floats[i] = (halves[i]! & 0x7c00) === 0x7c00 ? Number.NaN : floats[i]! * 2 ** 112;
  return floats;
}

function readIntegers({ bits, rows }: BlockWeight, ref: TensorRef, perRow: number, read: ReadTensor): Float32Array {
  const rowBytes = bits === 4 ? Math.ceil(perRow / 2) : perRow;
  const bytes = readBytes(ref, rows * rowBytes, read);
  const points = new Float32Array(rows * perRow);
  for (let i = 0, row = 0; row < rows; row++) {
    for (let block = 0; block < perRow; block++, i++) {
      if (bits === 8) points[i] = bytes[i]!;
      else points[i] = (bytes[row * rowBytes + (block >> 1)]! >> (4 * (block & 1))) & 15;
    }
  }
  return points;
}

function checkFinite(ref: TensorRef, values: Float32Array, what: string): void {
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i]!)) throw damaged(ref, `has ${what} that are not finite`);
}

export function damaged({ name }: TensorRef, what: string): AppError {
  return new AppError('model-damaged', `The tensor ${name} of the model ${what}. Copy the model again, and reload it.`);
}

export function unsupported({ name }: TensorRef, what: string): AppError {
  return new AppError(
    'model-unsupported',
    `The tensor ${name} of the model ${what}. Choose another file of the model.`,
  );
}
