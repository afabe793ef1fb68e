/** Operators that only say how rows are read: shapes, transpositions, parts of rows, rows joined. */
import type { Compilation } from './compilation.ts';
import { axesOf, permutation, shapePart, sliceRange, splitSizes, unsqueezed } from './evaluate-layout.ts';
import type { GraphNode } from './graph-node.ts';
import { axisOf, type Tensor } from './tensor.ts';
import type { Hidden, QuantisedRows, Tokens, Value } from './value.ts';
import { type Axis, countOf, dimsOf, one, reshape, shapeOf } from './view.ts';

/** Undefined: the operator does not know such inputs. */
export type Operator = (
  node: GraphNode,
  compilation: Compilation,
) => Value | readonly (Value | undefined)[] | undefined;

type Viewed = Hidden | Tokens | QuantisedRows;

function isViewed(value: Value | undefined): value is Viewed {
  return value?.kind === 'hidden' || value?.kind === 'tokens' || value?.kind === 'quantisedRows';
}

export function constantInput(node: GraphNode, position: number, compilation: Compilation): Tensor | undefined {
  const value = node.input(position);
  if (!value) return undefined;
  const tensor = value.kind === 'known' ? compilation.fixed(value) : undefined;
  if (!tensor) throw node.refused(`its input ${position} depends on the text`);
  return tensor;
}

/** With other axes; the parent's function and table stay. */
function viewed<V extends Viewed>(value: V, axes: readonly Axis[]): V {
  return { ...value, axes };
}

const same: Operator = (node) => {
  const value = node.required(0);
  return value.kind === 'known' ? undefined : value;
};

const reshapeView: Operator = (node) => {
  const [value, shape] = [node.required(0), node.input(1)];
  if (!isViewed(value) || shape?.kind !== 'known') return undefined;
  const target = dimsOf((size) => shape.at(size));
  return viewed(value, reshape(value.axes, target, node.int('allowzero', 0) === 1));
};

const transposeView: Operator = (node) => {
  const value = node.required(0);
  if (!isViewed(value)) return undefined;
  return viewed(
    value,
    permutation(node, value.axes.length).map((axis) => value.axes[axis]!),
  );
};

const unsqueezeView: Operator = (node, compilation) => {
  const value = node.required(0);
  if (!isViewed(value)) return undefined;
  const axes = axesOf(node, constantInput(node, 1, compilation)) ?? [];
  return viewed(value, unsqueezed(value.axes, axes, one));
};

const squeezeView: Operator = (node, compilation) => {
  const value = node.required(0);
  if (!isViewed(value)) return undefined;
  const rank = value.axes.length;
  const list = axesOf(node, constantInput(node, 1, compilation))?.map((axis) => axisOf(axis, rank));
  const isOne = ({ size, isToken }: Axis) => size === 1 && !isToken;
  if (list?.some((axis) => !isOne(value.axes[axis]!))) throw node.refused('it drops an axis of several numbers');
  return viewed(
    value,
    value.axes.filter((axis, i) => (list ? !list.includes(i) : !isOne(axis))),
  );
};

const flattenView: Operator = (node) => {
  const value = node.required(0);
  if (!isViewed(value)) return undefined;
  const axis = node.int('axis', 1);
  const isToken = (axes: readonly Axis[]) => axes.some((each) => each.isToken);
  const parts = [value.axes.slice(0, axis), value.axes.slice(axis)];
  return viewed(
    value,
    reshape(
      value.axes,
      parts.map((axes) => ({ size: countOf(axes), isToken: isToken(axes) })),
      false,
    ),
  );
};

/** The part of a row that `count` numbers of an axis from `start` on reach. */
export function partOf(value: Hidden, axis: number, start: number, count: number): Hidden {
  const { stride } = value.axes[axis]!;
  const axes = value.axes.map((each, i) => (i === axis ? { ...each, size: count } : each));
  const width = axes.reduce((reach, each) => reach + (each.size > 1 ? (each.size - 1) * each.stride : 0), 1);
  return { ...value, axes, slice: { ...value.slice, offset: value.slice.offset + start * stride, width } };
}

const splitView: Operator = (node, compilation) => {
  const value = node.required(0);
  if (value.kind !== 'hidden') return undefined;
  const axis = axisOf(node.int('axis', 0), value.axes.length);
  const { size, isToken } = value.axes[axis]!;
  if (isToken) throw node.refused('it splits the tokens');
  let start = 0;
  return splitSizes(node, constantInput(node, 1, compilation), size).map((count) => {
    const part = partOf(value, axis, start, count);
    start += count;
    return part;
  });
};

const sliceView: Operator = (node, compilation) => {
  const value = node.required(0);
  if (value.kind !== 'hidden') return undefined;
  const [starts, ends, axes, steps] = [1, 2, 3, 4].map((position) => node.input(position));
  if (steps && compilation.numbers(steps, node.label).some((step) => step !== 1))
    throw node.refused('it takes every second number or the like');
  const list = axes ? compilation.numbers(axes, node.label) : undefined;
  const count = starts?.kind === 'known' ? starts.at({ tokens: 5, past: 3 }).data.length : 0;
  let result: Hidden = value;
  for (let i = 0; i < count; i++) {
    const axis = axisOf(list?.[i] ?? i, value.axes.length);
    const { size, isToken } = result.axes[axis]!;
    if (isToken) {
      result = lastToken(node, result, axis, (tokens) => rangeAt(node, i, tokens));
      continue;
    }
    const [start, end] = [starts, ends].map((input) => compilation.numbers(input, node.label)[i] ?? 0);
    const range = sliceRange(start!, end!, 1, size);
    if (range.count === 0) throw node.refused('it takes nothing');
    result = partOf(result, axis, range.start, range.count);
  }
  return result;
};

function rangeAt(node: GraphNode, i: number, tokens: number): readonly number[] {
  const [start, end] = [node.input(1), node.input(2)].map((input) =>
    input?.kind === 'known' ? (input.at({ tokens, past: 3 }).data[i] ?? 0) : 0,
  );
  const range = sliceRange(start!, end!, 1, tokens);
  return Array.from({ length: range.count }, (_, index) => range.start + index);
}

/** All tokens, or the last alone: then the plan's own choice of rows takes its place. */
function lastToken(
  node: GraphNode,
  value: Hidden,
  axis: number,
  chosen: (tokens: number) => readonly number[],
): Hidden {
  const lists = [5, 9].map((tokens) => ({ tokens, rows: chosen(tokens) }));
  if (lists.every(({ tokens, rows }) => rows.length === tokens && rows.every((row, i) => row === i))) return value;
  const isLast = lists.every(({ tokens, rows }) => rows.length === 1 && (rows[0] === tokens - 1 || rows[0] === -1));
  if (!isLast || value.axes[axis]!.size !== 1) throw node.refused('it takes some of the tokens');
  return value;
}

/** `Gather` with one index on an axis of a row, or of the last token. */
export function gatherView(node: GraphNode, value: Hidden, compilation: Compilation): Hidden {
  const axis = axisOf(node.int('axis', 0), value.axes.length);
  const index = node.input(1);
  if (index?.kind !== 'known') throw node.refused('what it takes depends on the text');
  if (value.axes[axis]!.isToken) {
    const taken = lastToken(node, value, axis, (tokens) => [...index.at({ tokens, past: 3 }).data]);
    const isScalar = index.at({ tokens: 5, past: 3 }).dims.length === 0;
    if (!isScalar) return taken;
    // The token's axis goes, but rows stay rows: it moves to the front.
    const rest = value.axes.filter((_, i) => i !== axis);
    const first = rest.findIndex(({ size }) => size === 1);
    if (first < 0) throw node.refused('it drops the axis of the tokens');
    return { ...taken, axes: rest.map((each, i) => (i === first ? value.axes[axis]! : each)) };
  }
  const position = compilation.number(index);
  const { size } = value.axes[axis]!;
  if (position === undefined || position >= size || position < -size)
    throw node.refused('it takes several parts of a row');
  const part = partOf(value, axis, position < 0 ? position + size : position, 1);
  const isScalar = index.at({ tokens: 5, past: 3 }).dims.length === 0;
  return isScalar ? { ...part, axes: part.axes.filter((_, i) => i !== axis) } : part;
}

const shape: Operator = (node, compilation) => {
  const value = node.required(0);
  if (!isViewed(value)) return undefined;
  const part = (axes: readonly Axis[]) => shapePart(node, axes);
  return compilation.known({ isConstant: false, compute: (size) => shapeOf(part(value.axes), size) });
};

/** Only onto itself. */
const expandView: Operator = (node) => {
  const [value, target] = [node.required(0), node.input(1)];
  if (!isViewed(value) || target?.kind !== 'known') return undefined;
  const wanted = dimsOf((size) => target.at(size));
  const offset = value.axes.length - wanted.length;
  const isSame = wanted.every((dim, i) => {
    const axis = value.axes[i + offset];
    return (dim.size === 1 && !dim.isToken) || (axis?.size === dim.size && axis.isToken === dim.isToken);
  });
  if (!isSame || offset < 0) throw node.refused('it repeats what the layers compute');
  return value;
};

export const layoutOperators: Record<string, Operator> = {
  Identity: same,
  Cast: same,
  Dropout: same,
  Reshape: reshapeView,
  Transpose: transposeView,
  Unsqueeze: unsqueezeView,
  Squeeze: squeezeView,
  Flatten: flattenView,
  Split: splitView,
  Slice: sliceView,
  Expand: expandView,
  Shape: shape,
};
