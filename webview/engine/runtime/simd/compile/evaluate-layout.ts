/** Operators that pick, join and reshape tensors that are computed while compiling. */
import { type Evaluate, given } from './evaluate-arithmetic.ts';
import type { GraphNode } from './graph-node.ts';
import { damaged } from './refusal.ts';
import { allocate, axisOf, gatherIndex, intVector, pick, sizeOf, stridesOf, type Tensor, tensorOf } from './tensor.ts';

/** An input, or an attribute in older operator sets. */
export function axesOf(node: GraphNode, axes: Tensor | undefined): readonly number[] | undefined {
  return axes ? [...axes.data] : node.ints('axes');
}

export interface Range {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** What `Slice` takes of one axis of `dim` numbers. */
export function sliceRange(start: number, end: number, step: number, dim: number): Range {
  if (!Number.isInteger(step) || step === 0) throw damaged('a slice has the step 0');
  const clamp = (position: number, low: number, high: number) =>
    Math.min(high, Math.max(low, position < 0 ? position + dim : position));
  const first = step > 0 ? clamp(start, 0, dim) : clamp(start, 0, dim - 1);
  const last = step > 0 ? clamp(end, 0, dim) : clamp(end, -1, dim - 1);
  return { start: first, step, count: Math.max(0, Math.ceil((last - first) / step)) };
}

const slice: Evaluate = (node, [input, starts, ends, axes, steps]) => {
  const tensor = given(input, node);
  const ranges = tensor.dims.map((dim): Range => ({ start: 0, step: 1, count: dim }));
  const list = (axes ? [...axes.data] : node.ints('axes')) ?? ranges.map((_, i) => i);
  const from = starts ? [...starts.data] : (node.ints('starts') ?? []);
  const to = ends ? [...ends.data] : (node.ints('ends') ?? []);
  for (const [i, start] of from.entries()) {
    const axis = axisOf(list[i] ?? 0, tensor.dims.length);
    ranges[axis] = sliceRange(start, to[i] ?? 0, steps?.data[i] ?? 1, tensor.dims[axis] ?? 0);
  }
  const strides = stridesOf(tensor.dims);
  const dims = ranges.map(({ count }) => count);
  allocate(dims);
  const start = ranges.reduce((sum, range, axis) => sum + range.start * strides[axis]!, 0);
  return [
    pick(
      tensor,
      dims,
      gatherIndex(
        dims,
        ranges.map(({ step }, axis) => step * strides[axis]!),
        start,
      ),
    ),
  ];
};

const concat: Evaluate = (node, inputs) => {
  const tensors = inputs.map((input) => given(input, node));
  const first = tensors[0]!;
  const axis = axisOf(node.int('axis', 0), first.dims.length);
  const dims = first.dims.map((dim, i) => (i === axis ? tensors.reduce((sum, t) => sum + (t.dims[i] ?? 0), 0) : dim));
  const isFitting = tensors.every(
    (t) => t.dims.length === dims.length && t.dims.every((d, i) => i === axis || d === dims[i]),
  );
  if (!isFitting) throw damaged(`${node.label} joins shapes that do not fit`);
  const data = allocate(dims);
  let at = 0;
  for (let outer = 0; outer < sizeOf(dims.slice(0, axis)); outer++)
    for (const tensor of tensors) {
      const width = sizeOf(tensor.dims.slice(axis));
      data.set(tensor.data.subarray(outer * width, (outer + 1) * width), at);
      at += width;
    }
  return [{ kind: first.kind, dims, data }];
};

const transpose: Evaluate = (node, [input]) => {
  const tensor = given(input, node);
  const order = permutation(node, tensor.dims.length);
  const strides = stridesOf(tensor.dims);
  const dims = order.map((axis) => tensor.dims[axis]!);
  return [
    pick(
      tensor,
      dims,
      gatherIndex(
        dims,
        order.map((axis) => strides[axis]!),
        0,
      ),
    ),
  ];
};

/** The attribute `perm`; by default the axes in reverse. */
export function permutation(node: GraphNode, rank: number): readonly number[] {
  const order = node.ints('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const isComplete = order.length === rank && order.every((axis) => axis >= 0 && axis < rank);
  if (!isComplete || new Set(order).size !== rank) throw damaged(`${node.label} has a permutation that does not fit`);
  return order;
}

const reshape: Evaluate = (node, [input, shape]) => {
  const tensor = given(input, node);
  const target = shape ? [...shape.data] : (node.ints('shape') ?? []);
  const dims = target.map((dim, i) => (dim === 0 && !node.int('allowzero', 0) ? (tensor.dims[i] ?? 0) : dim));
  const open = dims.indexOf(-1);
  if (open >= 0) dims[open] = tensor.data.length / -sizeOf(dims);
  if (sizeOf(dims) !== tensor.data.length) throw damaged(`${node.label} reshapes into [${target.join(', ')}]`);
  return [{ ...tensor, dims }];
};

/** Where axes are inserted, given in the numbering of the result. */
export function unsqueezed<T>(list: readonly T[], axes: readonly number[], added: T): T[] {
  const rank = list.length + axes.length;
  const inserted = new Set(axes.map((axis) => axisOf(axis, rank)));
  if (inserted.size !== axes.length) throw damaged('an axis is inserted twice');
  let next = 0;
  return Array.from({ length: rank }, (_, i) => (inserted.has(i) ? added : list[next++]!));
}

const split: Evaluate = (node, [input, sizes]) => {
  const tensor = given(input, node);
  const axis = axisOf(node.int('axis', 0), tensor.dims.length);
  const parts = splitSizes(node, sizes, tensor.dims[axis] ?? 0);
  const inner = sizeOf(tensor.dims.slice(axis + 1));
  const strides = stridesOf(tensor.dims);
  let start = 0;
  return parts.map((count) => {
    const dims = tensor.dims.map((dim, i) => (i === axis ? count : dim));
    const part = pick(tensor, dims, gatherIndex(dims, strides, start * inner));
    start += count;
    return part;
  });
};

/** Sizes of the parts of `Split`: an input, an attribute, or as equal as can be. */
export function splitSizes(node: GraphNode, sizes: Tensor | undefined, dim: number): readonly number[] {
  const parts = node.outputs.length;
  const equal = Math.ceil(dim / parts);
  const list = sizes ? [...sizes.data] : node.ints('split');
  const result = list ?? Array.from({ length: parts }, (_, i) => Math.min(equal, dim - i * equal));
  const isFitting = result.every((size) => size >= 0) && result.reduce((a, b) => a + b, 0) === dim;
  if (!isFitting || result.length !== parts) throw damaged(`${node.label} splits ${dim} into ${result.join(' + ')}`);
  return result;
}

export const layout: Record<string, Evaluate> = {
  Slice: slice,
  Concat: concat,
  Transpose: transpose,
  Reshape: reshape,
  Split: split,
  Unsqueeze: (node, [input, axes]) => {
    const tensor = given(input, node);
    return [{ ...tensor, dims: unsqueezed(tensor.dims, axesOf(node, axes) ?? [], 1) }];
  },
  Squeeze: (node, [input, axes]) => {
    const tensor = given(input, node);
    const list = axesOf(node, axes)?.map((axis) => axisOf(axis, tensor.dims.length));
    return [{ ...tensor, dims: tensor.dims.filter((dim, i) => (list ? !list.includes(i) : dim !== 1)) }];
  },
  Flatten: (node, [input]) => {
    const tensor = given(input, node);
    const axis = node.int('axis', 1);
    return [{ ...tensor, dims: [sizeOf(tensor.dims.slice(0, axis)), sizeOf(tensor.dims.slice(axis))] }];
  },
  Range: (node, inputs) => {
    const [start, limit, delta] = [0, 1, 2].map((i) => given(inputs[i], node).data[0] ?? 0) as [number, number, number];
    const count = Math.max(0, Math.ceil((limit - start) / delta));
    const data = allocate([count]);
    for (let i = 0; i < count; i++) data[i] = start + i * delta;
    return [{ kind: given(inputs[0], node).kind, dims: [count], data }];
  },
  Tile: (node, [input, repeats]) => {
    const tensor = given(input, node);
    const times = [...given(repeats, node).data];
    if (times.length !== tensor.dims.length) throw damaged(`${node.label} repeats ${times.length} axes`);
    const dims = tensor.dims.map((dim, i) => dim * times[i]!);
    allocate(dims);
    const strides = stridesOf(tensor.dims);
    const paired = tensor.dims.flatMap((dim, i) => [times[i]!, dim]);
    return [
      pick(
        tensor,
        dims,
        gatherIndex(
          paired,
          strides.flatMap((stride) => [0, stride]),
          0,
        ),
      ),
    ];
  },
  ConstantOfShape: (node, [shape]) => {
    const dims = [...given(shape, node).data];
    const value = node.tensor('value');
    const isInt = value !== undefined && (value.int64Data.length > 0 || value.dataType === 7);
    return [{ kind: isInt ? 'int' : 'float', dims, data: allocate(dims).fill(fillOf(node)) }];
  },
  Size: (node, [input]) => [tensorOf('int', [], [given(input, node).data.length])],
  Shape: (node, [input]) => [intVector(shapePart(node, given(input, node).dims))],
};

function fillOf(node: GraphNode): number {
  const tensor = node.tensor('value');
  if (!tensor) return 0;
  const { rawData: raw, dataType } = tensor;
  if (raw.length === 0) return Number(tensor.int64Data[0] ?? tensor.floatData[0] ?? tensor.int32Data[0] ?? 0);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  if (dataType === 7 && raw.length >= 8) return Number(view.getBigInt64(0, true));
  if (dataType === 1 && raw.length >= 4) return view.getFloat32(0, true);
  if (dataType === 6 && raw.length >= 4) return view.getInt32(0, true);
  if (dataType === 9) return raw[0]!;
  throw node.refused('the type of its value is not known');
}

/** `Shape` with its attributes `start` and `end`. */
export function shapePart<T>(node: GraphNode, dims: readonly T[]): T[] {
  const end = node.attribute('end') ? node.int('end', dims.length) : dims.length;
  return dims.slice(node.int('start', 0), end);
}
