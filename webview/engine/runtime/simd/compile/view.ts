/**
 * Shapes of values that lie in memory as one row per token: which axis is the token, and how far apart the numbers of the
 * others are in a row. Reshaping and transposing such a value moves nothing.
 */
import { damaged, unsupported } from './refusal.ts';
import { intVector, type Tensor } from './tensor.ts';
import type { Size } from './value.ts';

export interface Axis {
  /** How many; on the token axis: how many for each token. */
  readonly size: number;
  /** Between neighbours, in a row. */
  readonly stride: number;
  readonly isToken: boolean;
}

export const one: Axis = { size: 1, stride: 0, isToken: false };
export const tokenAxis: Axis = { size: 1, stride: 0, isToken: true };

/** [1, token, width] */
export function rowAxes(width: number): Axis[] {
  return [one, tokenAxis, { size: width, stride: 1, isToken: false }];
}

export function shapeOf(axes: readonly Axis[], { tokens }: Size): Tensor {
  return intVector(axes.map(({ size, isToken }) => (isToken ? size * tokens : size)));
}

/** Numbers of a row that the axes reach. */
export function countOf(axes: readonly Axis[]): number {
  return axes.reduce((count, { size }) => count * size, 1);
}

/** Parts of a row in the order of the axes: neighbours lie beside each other and nothing is between them. */
export function isDense(axes: readonly Axis[]): boolean {
  const real = axes.filter(({ size }) => size > 1);
  let expected = countOf(axes);
  return real.every(({ size, stride }) => {
    expected /= size;
    return stride === expected;
  });
}

/** Undefined where the axes are not [token, head, dim], [head, token, dim] and the like, or [token, heads * dim]. */
export function headsOf(axes: readonly Axis[]): { heads: number; headDim: number; stride: number } | undefined {
  const last = axes.at(-1);
  if (!last || last.isToken || (last.size > 1 && last.stride !== 1)) return undefined;
  const heads = axes.slice(0, -1).filter(({ size }) => size > 1);
  if (heads.length > 1) return undefined;
  const [head] = heads;
  return { heads: head?.size ?? 1, headDim: last.size, stride: head?.stride ?? last.size };
}

/** A dimension that a shape asks for: a number, or so many for each token. */
export interface Dim {
  readonly size: number;
  readonly isToken: boolean;
}

/** @throws AppError `model-unsupported` when the numbers cannot be told apart. */
export function dimsOf(shapeAt: (size: Size) => Tensor): Dim[] {
  const sizes = [
    { tokens: 7, past: 13 },
    { tokens: 11, past: 6 },
  ] as const;
  const [a, b] = [shapeAt(sizes[0]), shapeAt(sizes[1])];
  if (a.data.length !== b.data.length) throw unsupported('the rank of a tensor depends on the number of tokens');
  return Array.from(a.data, (first, i) => {
    const second = b.data[i]!;
    if (first === second) return { size: first, isToken: false };
    const each = first / sizes[0].tokens;
    if (!Number.isInteger(each) || each !== second / sizes[1].tokens)
      throw unsupported('a tensor is reshaped by a number that is neither constant nor a multiple of the tokens');
    return { size: each, isToken: true };
  });
}

/**
 * ONNX `Reshape`: 0 keeps a dimension, -1 takes what is left.
 * @throws AppError where the numbers do not fit, or where they would have to be moved.
 */
export function reshape(axes: readonly Axis[], target: readonly Dim[], allowZero: boolean): Axis[] {
  const dims = completeDims(axes, target, allowZero);
  const rest = axes.filter(({ size, isToken }) => isToken || size > 1).map((axis) => ({ ...axis }));
  const result: Axis[] = [];
  for (const dim of dims) {
    if (!dim.isToken && dim.size === 1) result.push(one);
    else result.push(take(rest, dim));
  }
  if (rest.some(({ size, isToken }) => size > 1 || isToken)) throw moved();
  return result;
}

/** Takes the axis `dim` from the front of what is left: part of an axis, or several that lie evenly. */
function take(rest: Axis[], dim: Dim): Axis {
  const first = rest.shift();
  if (first?.isToken !== dim.isToken) throw moved();
  let { size, stride } = first;
  while (size < dim.size) {
    const next = rest.shift();
    if (!next || next.isToken || (size > 1 && stride !== next.size * next.stride)) throw moved();
    size *= next.size;
    stride = next.stride;
  }
  if (size === dim.size) return { size, stride, isToken: dim.isToken };
  const inner = size / dim.size;
  if (!Number.isInteger(inner)) throw moved();
  rest.unshift({ size: inner, stride, isToken: false });
  return { size: dim.size, stride: stride * inner, isToken: dim.isToken };
}

function completeDims(axes: readonly Axis[], target: readonly Dim[], allowZero: boolean): Dim[] {
  const dims = target.map((dim, i) => {
    if (dim.size !== 0 || allowZero) return dim;
    const kept = axes[i];
    if (!kept) throw damaged('a reshape keeps a dimension that is not there');
    return { size: kept.size, isToken: kept.isToken };
  });
  const open = dims.findIndex(({ size }) => size === -1);
  if (open >= 0) {
    const others = dims.filter((_, i) => i !== open);
    const isToken = axes.some((axis) => axis.isToken) && !others.some((dim) => dim.isToken);
    const size = countOf(axes) / others.reduce((count, dim) => count * dim.size, 1);
    dims[open] = { size, isToken };
  }
  const count = dims.reduce((total, { size }) => total * size, 1);
  const tokens = (list: readonly Dim[]) => list.filter(({ isToken }) => isToken).length;
  if (!dims.every(({ size }) => Number.isInteger(size) && size > 0) || count !== countOf(axes))
    throw damaged(`${countOf(axes)} numbers of a token are reshaped into [${dims.map(({ size }) => size).join(', ')}]`);
  if (tokens(dims) !== tokens(axes)) throw moved();
  return dims;
}

function moved() {
  return unsupported('a reshape mixes the numbers of tokens or heads');
}
