/** Arithmetic on what the layers compute: functions of a number, sums and products of rows, constants and vectors. */
import { attentionMatMul, scoresArithmetic, softmax } from './attention-parts.ts';
import type { Compilation } from './compilation.ts';
import { positionRows, withScales, withZeroPoint } from './embedding-operators.ts';
import { call, type Expression, number, x } from './expression.ts';
import type { GraphNode } from './graph-node.ts';
import type { Known } from './known.ts';
import type { Operator } from './layout-operators.ts';
import { addVector, matrixProduct, scaleProduct } from './linear-operators.ts';
import { isSame, normPart } from './norm-operators.ts';
import { unsupported } from './refusal.ts';
import { rotarySum, rotaryTerm } from './rotary.ts';
import { broadcastTo, gatherIndex, type Tensor } from './tensor.ts';
import type { Hidden, Value } from './value.ts';

const steps = { Add: 'add', Sub: 'subtract', Mul: 'multiply', Div: 'divide' } as const;

function expressionOf({ expression }: Hidden): Expression {
  return expression ?? x;
}

function applied(value: Hidden, name: string, ...more: readonly Expression[]): Hidden {
  return { ...value, expression: call(name, expressionOf(value), ...more) };
}

/** A function of every number. */
function unary(name: string): Operator {
  return (node, compilation) => {
    const value = node.required(0);
    const part = normPart(node, value, undefined, compilation) ?? scoresArithmetic(node, value, undefined, compilation);
    if (part) return part;
    return value.kind === 'hidden' ? applied(value, name) : undefined;
  };
}

/** An activation with a bias that is added before. */
function biased(name: string): Operator {
  return (node, compilation) => {
    const value = node.input(0);
    if (value?.kind !== 'hidden') return undefined;
    return applied(addVector(compilation, value, node.input(1), node.label), name);
  };
}

const gelu: Operator = (node) => {
  const value = node.input(0);
  if (value?.kind !== 'hidden') return undefined;
  return applied(value, node.string('approximate', 'none') === 'tanh' ? 'gelu-tanh' : 'gelu');
};

/** x * sigmoid(alpha * x) */
function gated(alpha: number): Operator {
  return (node) => {
    const value = node.input(0);
    if (value?.kind !== 'hidden') return undefined;
    const own = expressionOf(value);
    const gate = call('sigmoid', call('Mul', own, number(node.float('alpha', alpha))));
    return { ...value, expression: call('Mul', own, gate) };
  };
}

const binary: Operator = (node, compilation) => {
  const [a, b] = [node.required(0), node.required(1)];
  const part =
    normPart(node, a, b, compilation) ??
    scoresArithmetic(node, a, b, compilation) ??
    rotaryPart(node, a, b, compilation) ??
    quantisedPart(node, a, b, compilation);
  if (part) return part;
  if (a.kind === 'hidden' && b.kind === 'hidden') return ofRows(node, a, b, compilation);
  if (a.kind === 'hidden' && b.kind === 'known') return withKnown(node, a, b, false, compilation);
  if (b.kind === 'hidden' && a.kind === 'known') return withKnown(node, b, a, true, compilation);
  return undefined;
};

function quantisedPart(node: GraphNode, a: Value, b: Value, compilation: Compilation): Value | undefined {
  if (node.operator === 'Sub' && a.kind === 'quantisedRows') return withZeroPoint(node, a, compilation);
  if (node.operator !== 'Mul') return undefined;
  if (a.kind === 'quantisedRows') return withScales(node, a, b, compilation);
  if (b.kind === 'quantisedRows') return withScales(node, b, a, compilation);
  return scaleProduct(node, compilation);
}

function rotaryPart(node: GraphNode, a: Value, b: Value, compilation: Compilation): Value | undefined {
  if (node.operator === 'Mul') return rotaryTerm(a, b, compilation) ?? rotaryTerm(b, a, compilation);
  return node.operator === 'Add' ? rotarySum(node, a, b, compilation) : undefined;
}

function ofRows(node: GraphNode, a: Hidden, b: Hidden, compilation: Compilation): Hidden {
  const { builder } = compilation;
  const { operator, label } = node;
  const plain = ({ expression: _, ...rest }: Hidden) => rest;
  if (isSame(plain(a), plain(b)) && a.axes.length === b.axes.length)
    return { ...a, expression: call(operator, expressionOf(a), expressionOf(b)) };
  if (!(operator in steps)) throw node.refused('it works on two values that are computed');
  const shape = ({ axes }: Hidden) => axes.map(({ size, isToken }) => `${size}${isToken}`).join();
  if (shape(a) !== shape(b)) throw node.refused('the shapes of its inputs differ');
  const [left, right] = [builder.settle(a, label), builder.settle(b, label)];
  const result = builder.result(left.axes);
  const name = steps[operator as keyof typeof steps];
  builder.add({ op: 'binary', function: name, left: left.slice, right: right.slice, to: result.slice });
  return result;
}

function withKnown(
  node: GraphNode,
  value: Hidden,
  known: Known,
  isReversed: boolean,
  compilation: Compilation,
): Hidden {
  const factor = compilation.number(known);
  const { operator, label } = node;
  if (factor !== undefined) {
    if (!isReversed && factor === 1 && ['Mul', 'Div', 'Pow'].includes(operator)) return value;
    const [own, other] = [expressionOf(value), number(factor)];
    return { ...value, expression: isReversed ? call(operator, other, own) : call(operator, own, other) };
  }
  if (!(operator in steps)) throw node.refused('it works on a vector');
  const fixed = compilation.fixed(known);
  if (!fixed) return withPositions(node, value, known, compilation);
  const { builder } = compilation;
  let left = builder.settle(value, label);
  let name = steps[operator as keyof typeof steps];
  if (isReversed && name === 'divide') throw node.refused('it divides a vector by what is computed');
  if (isReversed && name === 'subtract') {
    left = builder.settle({ ...left, expression: call('Neg', x) }, label);
    name = 'add';
  }
  const right = rowVector(left, fixed, known, compilation, label);
  const result = builder.result(left.axes);
  builder.add({ op: 'binary', function: name, left: left.slice, right, to: result.slice });
  return result;
}

/** A constant as it meets every number of a row. */
function rowVector(value: Hidden, tensor: Tensor, known: Known, compilation: Compilation, label: string): Float32Array {
  const { width } = value.slice;
  if (tensor.data.length === width) return compilation.vector(known, width, label);
  const dims = value.axes.map(({ size }) => size);
  if (tensor.dims.length > dims.length) throw unsupported(`${label} adds axes to a value`);
  return compilation.derived(`${known.id}/${dims}`, () => {
    const spread = broadcastTo(tensor, dims);
    const row = new Float32Array(width);
    const places = gatherIndex(
      dims,
      value.axes.map(({ stride }) => stride),
      0,
    );
    for (const [i, place] of places.entries()) row[place] = spread.data[i]!;
    return row;
  });
}

/** Rows that depend on the position, or a factor that is 1 while nothing is padding. */
function withPositions(node: GraphNode, value: Hidden, known: Known, compilation: Compilation): Hidden {
  const { builder } = compilation;
  if (node.operator === 'Mul' && known.at({ tokens: 3, past: 4 }).data.every((factor) => factor === 1)) return value;
  if (node.operator !== 'Add') throw node.refused('it scales by position');
  const left = builder.settle(value, node.label);
  const right = positionRows(compilation, known, left.slice.width, node.label);
  const result = builder.result(left.axes);
  builder.add({ op: 'binary', function: 'add', left: left.slice, right, to: result.slice });
  return result;
}

const product: Operator = (node, compilation) => {
  const [a, b] = [node.required(0), node.required(1)];
  return (
    attentionMatMul(node, a, b, compilation) ?? (a.kind === 'hidden' ? matrixProduct(node, compilation) : undefined)
  );
};

export const arithmeticOperators: Record<string, Operator> = {
  Add: binary,
  Sub: binary,
  Mul: binary,
  Div: binary,
  Pow: binary,
  Neg: unary('Neg'),
  MatMul: product,
  Softmax: softmax,
  Sqrt: unary('Sqrt'),
  Reciprocal: unary('Reciprocal'),
  Erf: unary('Erf'),
  Exp: unary('Exp'),
  Abs: unary('Abs'),
  Tanh: unary('tanh'),
  Sigmoid: unary('sigmoid'),
  Relu: unary('relu'),
  Gelu: gelu,
  'com.microsoft.Gelu': biased('gelu'),
  'com.microsoft.BiasGelu': biased('gelu'),
  'com.microsoft.FastGelu': biased('gelu-tanh'),
  'com.microsoft.QuickGelu': gated(1.702),
  Swish: gated(1),
};
