/** Arithmetic of tensors that are computed while compiling: https://onnx.ai/onnx/operators/. Floats round to float32. */
import { TensorProto_DataType } from '../../../graph/onnx_pb.js';
import type { GraphNode } from './graph-node.ts';
import { damaged } from './refusal.ts';
import {
  allocate,
  axisOf,
  broadcastDims,
  broadcastIndex,
  type ElementKind,
  pick,
  sizeOf,
  stridesOf,
  type Tensor,
} from './tensor.ts';

export type Evaluate = (node: GraphNode, inputs: readonly (Tensor | undefined)[]) => readonly Tensor[];

type Unary = (x: number) => number;
type Binary = (a: number, b: number, kind: ElementKind) => number;

const unaries: Record<string, Unary> = {
  Neg: (x) => -x,
  Abs: Math.abs,
  Sign: Math.sign,
  Sqrt: Math.sqrt,
  Reciprocal: (x) => 1 / x,
  Exp: Math.exp,
  Log: Math.log,
  Cos: Math.cos,
  Sin: Math.sin,
  Floor: Math.floor,
  Ceil: Math.ceil,
  Not: (x) => (x ? 0 : 1),
  IsNaN: (x) => (Number.isNaN(x) ? 1 : 0),
};

const binaries: Record<string, Binary> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b, kind) => (kind === 'int' ? Math.trunc(a / b) : a / b),
  Pow: (a, b) => a ** b,
  Mod: (a, b) => a - b * Math.floor(a / b),
  Min: (a, b) => Math.min(a, b),
  Max: (a, b) => Math.max(a, b),
  Less: (a, b) => (a < b ? 1 : 0),
  LessOrEqual: (a, b) => (a <= b ? 1 : 0),
  Greater: (a, b) => (a > b ? 1 : 0),
  GreaterOrEqual: (a, b) => (a >= b ? 1 : 0),
  Equal: (a, b) => (a === b ? 1 : 0),
  And: (a, b) => (a && b ? 1 : 0),
  Or: (a, b) => (a || b ? 1 : 0),
  Xor: (a, b) => (!a !== !b ? 1 : 0),
};

const predicates = new Set('Not IsNaN Less LessOrEqual Greater GreaterOrEqual Equal And Or Xor'.split(' '));

export function given(tensor: Tensor | undefined, node: GraphNode): Tensor {
  if (!tensor) throw damaged(`${node.label} lacks an input`);
  return tensor;
}

function round(kind: ElementKind, data: Float64Array): Float64Array {
  if (kind === 'float') for (let i = 0; i < data.length; i++) data[i] = Math.fround(data[i]!);
  return data;
}

function unary(compute: Unary): Evaluate {
  return (node, [input]) => {
    const { kind, dims, data } = given(input, node);
    const result = predicates.has(node.operator) ? 'bool' : kind;
    return [{ kind: result, dims, data: round(result, data.map(compute)) }];
  };
}

function binary(compute: Binary): Evaluate {
  return (node, inputs) => {
    const [first, ...rest] = inputs.map((input) => given(input, node));
    return [rest.reduce((a, b) => combine(node.operator, compute, a, b), first!)];
  };
}

function combine(operator: string, compute: Binary, a: Tensor, b: Tensor): Tensor {
  const dims = broadcastDims(a.dims, b.dims);
  const data = allocate(dims);
  const [left, right] = [broadcastIndex(a.dims, dims), broadcastIndex(b.dims, dims)];
  for (let i = 0; i < data.length; i++) data[i] = compute(a.data[left[i]!]!, b.data[right[i]!]!, a.kind);
  const kind = predicates.has(operator) ? 'bool' : a.kind;
  return { kind, dims, data: round(kind, data) };
}

const cast: Evaluate = (node, [input]) => {
  const tensor = given(input, node);
  const type = node.int('to', TensorProto_DataType.FLOAT);
  const { FLOAT, FLOAT16, BFLOAT16, DOUBLE, BOOL } = TensorProto_DataType;
  if (type === BOOL) return [{ ...tensor, kind: 'bool', data: tensor.data.map((x) => (x ? 1 : 0)) }];
  if ([FLOAT, FLOAT16, BFLOAT16, DOUBLE].includes(type))
    return [{ ...tensor, kind: 'float', data: round('float', tensor.data.slice()) }];
  return [{ ...tensor, kind: 'int', data: tensor.data.map(Math.trunc) }];
};

const where: Evaluate = (node, inputs) => {
  const [condition, yes, no] = [0, 1, 2].map((i) => given(inputs[i], node)) as [Tensor, Tensor, Tensor];
  const dims = broadcastDims(condition.dims, broadcastDims(yes.dims, no.dims));
  const data = allocate(dims);
  const [c, y, n] = [condition, yes, no].map((tensor) => broadcastIndex(tensor.dims, dims));
  for (let i = 0; i < data.length; i++) data[i] = condition.data[c![i]!] ? yes.data[y![i]!]! : no.data[n![i]!]!;
  return [{ kind: yes.kind, dims, data }];
};

/** The axes of a reduction: an input, or an attribute up to operator set 17; all when there are none. */
export function reductionAxes(node: GraphNode, axes: Tensor | undefined, rank: number): number[] {
  const list = axes ? [...axes.data] : (node.ints('axes') ?? []);
  if (list.length === 0) return node.int('noop_with_empty_axes', 0) ? [] : Array.from({ length: rank }, (_, i) => i);
  return list.map((axis) => axisOf(axis, rank));
}

function reduce(start: number, step: (sum: number, x: number) => number, isMean = false): Evaluate {
  return (node, [input, axes]) => {
    const tensor = given(input, node);
    const reduced = new Set(reductionAxes(node, axes, tensor.dims.length));
    const kept = tensor.dims.map((dim, axis) => (reduced.has(axis) ? 1 : dim));
    const data = allocate(kept).fill(start);
    const to = broadcastIndex(kept, tensor.dims);
    for (let i = 0; i < to.length; i++) data[to[i]!] = step(data[to[i]!]!, tensor.data[i]!);
    const count = isMean ? tensor.data.length / Math.max(data.length, 1) : 1;
    if (isMean) for (let i = 0; i < data.length; i++) data[i]! /= count;
    const dims = node.int('keepdims', 1) ? kept : kept.filter((_, axis) => !reduced.has(axis));
    return [{ kind: tensor.kind, dims, data: round(tensor.kind, data) }];
  };
}

const cumulate: Evaluate = (node, [input, axis]) => {
  const tensor = given(input, node);
  if (node.int('exclusive', 0) || node.int('reverse', 0)) throw node.refused('sums from the end are not known');
  const along = axisOf(given(axis, node).data[0] ?? 0, tensor.dims.length);
  const stride = stridesOf(tensor.dims)[along]!;
  const data = tensor.data.slice();
  for (let i = 0; i < data.length; i++)
    if (Math.floor(i / stride) % tensor.dims[along]! > 0) data[i]! += data[i - stride]!;
  return [{ ...tensor, data: round(tensor.kind, data) }];
};

const product: Evaluate = (node, [left, right]) => {
  const [a, b] = [given(left, node), given(right, node)];
  const inner = a.dims.at(-1) ?? 0;
  if (a.dims.length < 2 || b.dims.length < 2 || b.dims.at(-2) !== inner)
    throw damaged(`${node.label} multiplies [${a.dims.join(', ')}] with [${b.dims.join(', ')}]`);
  const [rows, columns] = [a.dims.at(-2)!, b.dims.at(-1)!];
  const batch = broadcastDims(a.dims.slice(0, -2), b.dims.slice(0, -2));
  const data = allocate([...batch, rows, columns]);
  const [fromA, fromB] = [a, b].map(({ dims }) => broadcastIndex(dims.slice(0, -2), batch));
  for (let matrix = 0; matrix < sizeOf(batch); matrix++)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        let sum = 0;
        for (let k = 0; k < inner; k++)
          sum +=
            a.data[(fromA![matrix]! * rows + row) * inner + k]! *
            b.data[(fromB![matrix]! * inner + k) * columns + column]!;
        data[(matrix * rows + row) * columns + column] = Math.fround(sum);
      }
  return [{ kind: a.kind, dims: [...batch, rows, columns], data }];
};

const dequantize: Evaluate = (node, [input, scale, zeroPoint]) => {
  const [x, s] = [given(input, node), given(scale, node)];
  if (node.int('block_size', 0)) throw node.refused('its blocks are not known');
  const along = (tensor: Tensor) => {
    if (tensor.data.length === 1) return new Int32Array(x.data.length);
    const shape = x.dims.map((dim, axis) => (axis === axisOf(node.int('axis', 1), x.dims.length) ? dim : 1));
    if (sizeOf(shape) !== tensor.data.length) throw damaged(`${node.label} has too many or too few scales`);
    return broadcastIndex(shape, x.dims);
  };
  const [scaleIndex, zeroIndex] = [along(s), along(zeroPoint ?? s)];
  const data = x.data.map((q, i) => Math.fround((q - (zeroPoint?.data[zeroIndex[i]!] ?? 0)) * s.data[scaleIndex[i]!]!));
  return [{ kind: 'float', dims: x.dims, data }];
};

export const arithmetic: Record<string, Evaluate> = {
  ...Object.fromEntries(Object.entries(unaries).map(([name, compute]) => [name, unary(compute)])),
  ...Object.fromEntries(Object.entries(binaries).map(([name, compute]) => [name, binary(compute)])),
  Cast: cast,
  Where: where,
  ReduceSum: reduce(0, (sum, x) => sum + x),
  ReduceMean: reduce(0, (sum, x) => sum + x, true),
  ReduceProd: reduce(1, (sum, x) => sum * x),
  ReduceMax: reduce(Number.NEGATIVE_INFINITY, Math.max),
  ReduceMin: reduce(Number.POSITIVE_INFINITY, Math.min),
  CumSum: cumulate,
  MatMul: product,
  DequantizeLinear: dequantize,
  Trilu: (node, [input, diagonal]) => {
    const tensor = given(input, node);
    const [rows, columns] = [tensor.dims.at(-2) ?? 1, tensor.dims.at(-1) ?? 1];
    const k = diagonal?.data[0] ?? 0;
    const isUpper = node.int('upper', 1) === 1;
    const keeps = (i: number) => {
      const offset = (i % columns) - (Math.floor(i / columns) % rows);
      return isUpper ? offset >= k : offset <= k;
    };
    return [{ ...tensor, data: tensor.data.map((x, i) => (keeps(i) ? x : 0)) }];
  },
  Identity: (node, [input]) => [given(input, node)],
  Dropout: (node, [input]) => [given(input, node)],
  Clip: (node, [input, low, high]) => {
    const tensor = given(input, node);
    const [min, max] = [low?.data[0] ?? Number.NEGATIVE_INFINITY, high?.data[0] ?? Number.POSITIVE_INFINITY];
    return [{ ...tensor, data: tensor.data.map((x) => Math.min(max, Math.max(min, x))) }];
  },
  Expand: (node, [input, shape]) => {
    const tensor = given(input, node);
    const dims = broadcastDims(tensor.dims, [...given(shape, node).data]);
    return [pick(tensor, dims, broadcastIndex(tensor.dims, dims))];
  },
};
