/** Matrix products with weights: plain, of blocks of 4 or 8 bits, and of 8-bit numbers with dynamic activations. */
import type { LinearWeight } from '../plan.ts';
import { type Compilation, dimsOfKnown } from './compilation.ts';
import type { GraphNode } from './graph-node.ts';
import type { Operator } from './layout-operators.ts';
import { damaged, unsupported } from './refusal.ts';
import type { Hidden, IntegerProduct, Value } from './value.ts';
import { isDense } from './view.ts';
import { blockWeight, channelWeight, matrixOf, storedOf } from './weights.ts';

/** A step that multiplies rows. @throws AppError when rows and matrix do not fit. */
export function linear(compilation: Compilation, value: Hidden, weight: LinearWeight, label: string): Hidden {
  const { builder } = compilation;
  const last = value.axes.at(-1);
  if (last?.isToken || last?.size !== weight.columns)
    throw damaged(`${label} multiplies rows of ${last?.size} numbers with a matrix of ${weight.columns} columns`);
  if (value.axes.slice(0, -1).some(({ size }) => size > 1)) {
    const isSplit = value.axes.some(({ isToken, size }) => isToken && size > 1);
    throw unsupported(`${label} multiplies ${isSplit ? 'parts of tokens' : 'heads'} with a matrix`);
  }
  const from = builder.settle(value, label);
  if (!isDense(from.axes)) throw unsupported(`${label} multiplies rows in pieces`);
  const result = builder.result([...value.axes.slice(0, -1), { size: weight.rows, stride: 1, isToken: false }]);
  builder.add({ op: 'linear', from: from.slice, weight, to: result.slice });
  return result;
}

/** Adds a vector to each row. */
export function addVector(compilation: Compilation, value: Hidden, vector: Value | undefined, label: string): Hidden {
  if (!vector) return value;
  const { builder } = compilation;
  const from = builder.settle(value, label);
  const right = compilation.vector(vector, from.slice.width, label);
  const result = builder.result(from.axes);
  builder.add({ op: 'binary', function: 'add', left: from.slice, right, to: result.slice });
  return result;
}

function scaled(compilation: Compilation, value: Hidden, factor: number, label: string): Hidden {
  if (factor === 1) return value;
  const { builder } = compilation;
  const from = builder.settle(value, label);
  const result = builder.result(from.axes);
  builder.add({ op: 'binary', function: 'multiply', left: from.slice, right: factor, to: result.slice });
  return result;
}

export function matrixProduct(node: GraphNode, compilation: Compilation): Hidden {
  return linear(compilation, node.hidden(0), matrixOf(node.required(1), false, node.label), node.label);
}

const fusedMatMul: Operator = (node, compilation) => {
  if (node.input(0)?.kind !== 'hidden') return undefined;
  if (node.int('transA', 0) || node.int('transBatchA', 0) || node.int('transBatchB', 0))
    throw node.refused('transposed batches are not known');
  const weight = matrixOf(node.required(1), node.int('transB', 0) === 1, node.label);
  return scaled(
    compilation,
    linear(compilation, node.hidden(0), weight, node.label),
    node.float('alpha', 1),
    node.label,
  );
};

const gemm: Operator = (node, compilation) => {
  if (node.input(0)?.kind !== 'hidden') return undefined;
  if (node.int('transA', 0)) throw node.refused('a transposed first matrix is not known');
  const weight = matrixOf(node.required(1), node.int('transB', 0) === 1, node.label);
  const product = linear(compilation, node.hidden(0), weight, node.label);
  const result = scaled(compilation, product, node.float('alpha', 1), node.label);
  if (node.input(2) && node.float('beta', 1) !== 1) throw node.refused('a scaled bias is not known');
  return addVector(compilation, result, node.input(2), node.label);
};

const matMulBits: Operator = (node, compilation) => {
  const [columns, rows] = [node.int('K', 0), node.int('N', 0)];
  const bits = node.int('bits', 4);
  const order = node.input(4);
  const blockSize = node.int('block_size', 32);
  if (order) {
    const numbers = compilation.numbers(order, node.label);
    if (numbers.some((group, column) => group !== Math.floor(column / blockSize)))
      throw node.refused('it orders its columns in another way (g_idx)');
  }
  const parts = {
    ...{ bits, blockSize, rows, columns },
    quantised: node.required(1),
    scales: node.required(2),
    zeroPoints: node.input(3) ?? 2 ** (bits - 1),
  };
  const result = linear(compilation, node.hidden(0), blockWeight(parts, node.label), node.label);
  return addVector(compilation, result, node.input(5), node.label);
};

const dynamicQuantise: Operator = (node) => {
  const base = node.input(0);
  if (base?.kind !== 'hidden') return undefined;
  return (['numbers', 'scale', 'zeroPoint'] as const).map((part) => ({ kind: 'dynamicQuantised', part, base }));
};

const matMulInteger: Operator = (node) => {
  const numbers = node.required(0);
  if (numbers.kind !== 'dynamicQuantised') return undefined;
  const zeroPoint = node.input(3);
  if (zeroPoint && zeroPoint.kind !== 'known') throw node.refused('its zero points are computed');
  const weight = storedOf(node.required(1), node.label);
  return {
    kind: 'integerProduct',
    base: numbers.base,
    weight: weight as IntegerProduct['weight'],
    zeroPoint,
    isScaled: false,
  };
};

/** Products with the scales of a dynamically quantised product, in either order. */
export function scaleProduct(node: GraphNode, compilation: Compilation): Value | undefined {
  const [a, b] = [node.required(0), node.required(1)];
  const [first, second] =
    a.kind === 'integerProduct' || (a.kind === 'dynamicQuantised' && b.kind === 'known') ? [a, b] : [b, a];
  if (first.kind === 'dynamicQuantised' && second.kind === 'known') return { ...first, weightScale: second };
  if (first.kind !== 'integerProduct') return undefined;
  if (second.kind === 'dynamicQuantised' && second.part === 'scale' && second.base.slice === first.base.slice) {
    if (!second.weightScale) return { ...first, isScaled: true };
    return integerLinear(compilation, first, second.weightScale, node.label);
  }
  if (second.kind === 'known' && first.isScaled) return integerLinear(compilation, first, second, node.label);
  return undefined;
}

function integerLinear(compilation: Compilation, product: IntegerProduct, scale: Value, label: string): Hidden {
  const [columns, rows] = product.weight.dims as [number, number];
  return byteProduct(
    compilation,
    product.base,
    { weight: product.weight, rows, columns, scale, zeroPoint: product.zeroPoint },
    label,
  );
}

interface ByteProduct {
  readonly weight: IntegerProduct['weight'];
  readonly rows: number;
  readonly columns: number;
  readonly scale: Value;
  readonly zeroPoint: Value | undefined;
}

function byteProduct(
  compilation: Compilation,
  base: Hidden,
  { weight, rows, columns, scale, zeroPoint }: ByteProduct,
  label: string,
): Hidden {
  const list = (value: Value) => Float32Array.from(compilation.numbers(value, label));
  const zeroPoints = zeroPoint ? list(zeroPoint) : new Float32Array(1);
  const matrix = channelWeight({ tensor: weight, rows, columns, scales: list(scale), zeroPoints, isTransposed: true });
  return linear(compilation, base, matrix, label);
}

/** `DynamicQuantizeMatMul` (A, B, scale, zero point, bias) and `MatMulIntegerToFloat`, which has A's scale between. */
function integerMatMul(positions: { scale: number; zeroPoint: number; bias: number }): Operator {
  return (node, compilation) => {
    const value = node.required(0);
    const base = value.kind === 'dynamicQuantised' ? value.base : value;
    if (base.kind !== 'hidden') return undefined;
    const weight = storedOf(node.required(1), node.label) as IntegerProduct['weight'];
    const [columns, rows] = dimsOfKnown(node.required(1) as Extract<Value, { kind: 'known' }>) as [number, number];
    const scale = node.required(positions.scale);
    const result = byteProduct(
      compilation,
      base,
      { weight, rows, columns, scale, zeroPoint: node.input(positions.zeroPoint) },
      node.label,
    );
    return addVector(compilation, result, node.input(positions.bias), node.label);
  };
}

export const linearOperators: Record<string, Operator> = {
  Gemm: gemm,
  'com.microsoft.FusedMatMul': fusedMatMul,
  'com.microsoft.MatMulNBits': matMulBits,
  DynamicQuantizeLinear: dynamicQuantise,
  MatMulInteger: matMulInteger,
  'com.microsoft.DynamicQuantizeMatMul': integerMatMul({ scale: 2, zeroPoint: 3, bias: 4 }),
  'com.microsoft.MatMulIntegerToFloat': integerMatMul({ scale: 3, zeroPoint: 5, bias: 6 }),
};
