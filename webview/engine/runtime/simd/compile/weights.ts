/** Matrices of the graph as the weights of a plan, checked against what the operator says of them. */
import type { BlockWeight, ChannelWeight, FloatWeight, LinearWeight, TensorRef } from '../plan.ts';
import { dimsOfKnown, isFloatStored } from './compilation.ts';
import type { StoredTensor } from './constant-tensor.ts';
import type { Known } from './known.ts';
import { damaged, unsupported } from './refusal.ts';
import { sizeOf } from './tensor.ts';
import type { Value } from './value.ts';

/** Rows and columns of what fits the memory of a page; more is a broken file. */
const mostRows = 2 ** 22;

/** The second operand of a matrix product: [columns, rows], or [rows, columns] where `isTransposed`. */
export function matrixOf(value: Value, isTransposed: boolean, label: string): LinearWeight {
  if (value.kind !== 'known' || !value.isConstant)
    throw unsupported(`${label} multiplies two values that are computed`);
  const dims = dimsOfKnown(value);
  if (dims.length !== 2) throw unsupported(`${label} has weights of the shape [${dims.join(', ')}]`);
  const [columns, rows] = isTransposed ? [dims[1]!, dims[0]!] : [dims[0]!, dims[1]!];
  checkSize(rows, columns, label);
  const { stored } = value;
  if (!stored) return computedMatrix(value, rows, columns, isTransposed);
  const isByColumns = stored.isTransposed === isTransposed;
  if (stored.channels)
    return channelMatrix(stored.tensor, stored.channels, { rows, columns, isByColumns, isTransposed });
  if (!isFloatStored(stored.tensor)) throw unsupported(`${label} has weights of the type ${stored.tensor.type}`);
  return { kind: 'float', rows, columns, tensor: stored.tensor as TensorRef, isTransposed: isByColumns };
}

function computedMatrix(value: Known, rows: number, columns: number, isTransposed: boolean): FloatWeight {
  const { data, dims } = value.tensor;
  const bytes = new Uint8Array(Float32Array.from(data).buffer);
  const tensor: TensorRef = { name: `computed ${value.id}`, dims, type: 'float32', source: { bytes } };
  return { kind: 'float', rows, columns, tensor, isTransposed: !isTransposed };
}

interface ChannelShape {
  readonly rows: number;
  readonly columns: number;
  readonly isByColumns: boolean;
  readonly isTransposed: boolean;
}

function channelMatrix(
  tensor: StoredTensor,
  { scales, zeroPoints, axis }: NonNullable<NonNullable<Known['stored']>['channels']>,
  { rows, columns, isByColumns, isTransposed }: ChannelShape,
): ChannelWeight {
  const ofRow = isTransposed ? 0 : 1;
  if (scales.length > 1 && axis !== ofRow)
    throw unsupported(`the weights ${tensor.name} have scales along what is summed`);
  return channelWeight({ tensor, rows, columns, scales, zeroPoints, isTransposed: isByColumns });
}

/** @throws AppError when the bytes are no 8-bit numbers, or scales are not one or one a row. */
export function channelWeight(parts: Omit<ChannelWeight, 'kind' | 'tensor'> & { tensor: StoredTensor }): ChannelWeight {
  const { tensor, rows, columns, scales, zeroPoints } = parts;
  checkSize(rows, columns, tensor.name);
  const { name, type } = tensor;
  if (type !== 'int8' && type !== 'uint8') throw unsupported(`the quantised weights ${name} are ${type}`);
  if (sizeOf(tensor.dims) !== rows * columns) throw damaged(`the weights ${name} are not ${rows} x ${columns} numbers`);
  for (const list of [scales, zeroPoints])
    if (list.length !== 1 && list.length !== rows)
      throw damaged(`the weights ${name} have ${list.length} scales or zero points for ${rows} rows`);
  checkFinite(scales, `the scales of ${name}`);
  return { kind: 'channels', ...parts, tensor: tensor as TensorRef };
}

export interface BlockParts {
  readonly bits: number;
  readonly blockSize: number;
  readonly rows: number;
  readonly columns: number;
  readonly quantised: Value;
  readonly scales: Value;
  readonly zeroPoints: Value | number;
}

/** @throws AppError naming the tensor that does not fit. */
export function blockWeight(parts: BlockParts, label: string): BlockWeight {
  const { bits, blockSize, rows, columns, zeroPoints } = parts;
  if (bits !== 4 && bits !== 8) throw unsupported(`${label} has weights of ${bits} bits`);
  if (![16, 32, 64, 128, 256].includes(blockSize)) throw unsupported(`${label} has blocks of ${blockSize}`);
  checkSize(rows, columns, label);
  const blocks = Math.ceil(columns / blockSize);
  const blob = (blockSize * bits) / 8;
  const quantised = reshaped(storedOf(parts.quantised, label), [rows, blocks, blob]);
  if (quantised.type !== 'uint8') throw unsupported(`${label} has weights of the type ${quantised.type}`);
  const scales = reshaped(storedOf(parts.scales, label), [rows, blocks]);
  if (!isFloatStored(scales)) throw damaged(`the scales ${scales.name} are ${scales.type}`);
  return {
    kind: 'blocks',
    bits,
    blockSize: blockSize as BlockWeight['blockSize'],
    rows,
    columns,
    quantised: quantised as TensorRef,
    scales: scales as TensorRef,
    zeroPoints: typeof zeroPoints === 'number' ? zeroPoints : zeroPointsOf(zeroPoints, { bits, rows, blocks }, label),
  };
}

function zeroPointsOf(
  value: Value,
  { bits, rows, blocks }: { bits: number; rows: number; blocks: number },
  label: string,
): TensorRef {
  const tensor = storedOf(value, label);
  if (tensor.type === 'uint8') return reshaped(tensor, [rows, Math.ceil((blocks * bits) / 8)]) as TensorRef;
  if (!isFloatStored(tensor)) throw unsupported(`the zero points ${tensor.name} are ${tensor.type}`);
  return reshaped(tensor, [rows, blocks]) as TensorRef;
}

/** A constant that lies in the file as it is used. */
export function storedOf(value: Value, label: string): StoredTensor {
  const stored = value.kind === 'known' ? value.stored : undefined;
  if (!stored || stored.isTransposed || stored.channels)
    throw unsupported(`${label} has weights that are not constants of the file`);
  return stored.tensor;
}

function reshaped(tensor: StoredTensor, dims: readonly number[]): StoredTensor {
  if (sizeOf(tensor.dims) !== sizeOf(dims))
    throw damaged(`the tensor ${tensor.name} has the shape [${tensor.dims.join(', ')}], not [${dims.join(', ')}]`);
  return { ...tensor, dims };
}

function checkSize(rows: number, columns: number, label: string): void {
  const isSize = (size: number) => Number.isInteger(size) && size >= 1 && size <= mostRows;
  if (!isSize(rows) || !isSize(columns)) throw damaged(`${label} has a matrix of ${rows} x ${columns} numbers`);
}

function checkFinite(numbers: Float32Array, name: string): void {
  if (!numbers.every(Number.isFinite)) throw damaged(`${name} are not all finite numbers`);
}
