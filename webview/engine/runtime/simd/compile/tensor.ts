/** Small tensors of which shapes, positions, masks and tables are computed while a graph is compiled. */
import { damaged } from './refusal.ts';

export type ElementKind = 'float' | 'int' | 'bool';

export interface Tensor {
  readonly kind: ElementKind;
  readonly dims: readonly number[];
  /** Row-major. Integers beyond 2^53 are rounded: they only mean "to the end". */
  readonly data: Float64Array;
}

/** Numbers in a tensor that is computed while compiling: a mask of 2,000 x 16,000, a table of 131,072 x 256. */
const mostNumbers = 2 ** 25;

export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((a, b) => a * b, 1);
}

/** @throws AppError `model-damaged` where a dimension is no size, or the tensor is too large to compute. */
export function allocate(dims: readonly number[]): Float64Array {
  const size = sizeOf(dims);
  if (!dims.every((dim) => Number.isInteger(dim) && dim >= 0) || size > mostNumbers)
    throw damaged(`a tensor has the shape [${dims.join(', ')}]`);
  return new Float64Array(size);
}

export function tensorOf(kind: ElementKind, dims: readonly number[], values: Iterable<number>): Tensor {
  return { kind, dims, data: Float64Array.from(values) };
}

export function intVector(values: readonly number[]): Tensor {
  return tensorOf('int', [values.length], values);
}

export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length).fill(1);
  for (let axis = dims.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * dims[axis + 1]!;
  return strides;
}

/** @throws AppError `model-damaged` where the axis is out of range. */
export function axisOf(axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (!(Number.isInteger(positive) && positive >= 0 && positive < Math.max(rank, 1)))
    throw damaged(`an operator works on axis ${axis} of ${rank}`);
  return positive;
}

/** Numpy's rule. @throws AppError `model-damaged` where shapes do not fit. */
export function broadcastDims(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [one, two] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    if (one !== two && one !== 1 && two !== 1)
      throw damaged(`shapes [${a.join(', ')}] and [${b.join(', ')}] do not fit together`);
    return one === 1 ? two : one;
  });
}

/** For each number of a tensor of `dims`, the index of the number of a tensor of `from` that is broadcast to it. */
export function broadcastIndex(from: readonly number[], dims: readonly number[]): Int32Array {
  const strides = stridesOf(from);
  const steps = dims.map((_, axis) => {
    const own = axis - dims.length + from.length;
    return own < 0 || from[own] === 1 ? 0 : strides[own]!;
  });
  return gatherIndex(dims, steps, 0);
}

/** Indices of a strided walk over `dims`. */
export function gatherIndex(dims: readonly number[], steps: readonly number[], start: number): Int32Array {
  let indices = new Int32Array([start]);
  for (const [axis, dim] of dims.entries()) {
    const next = new Int32Array(indices.length * dim);
    let at = 0;
    for (const base of indices) for (let i = 0; i < dim; i++) next[at++] = base + i * steps[axis]!;
    indices = next;
  }
  return indices;
}

export function pick(tensor: Tensor, dims: readonly number[], indices: Int32Array): Tensor {
  const data = allocate(dims);
  for (let i = 0; i < data.length; i++) data[i] = tensor.data[indices[i]!]!;
  return { kind: tensor.kind, dims, data };
}

export function broadcastTo(tensor: Tensor, dims: readonly number[]): Tensor {
  allocate(dims);
  return pick(tensor, dims, broadcastIndex(tensor.dims, dims));
}
