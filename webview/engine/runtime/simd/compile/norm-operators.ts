/** Norms over the last axis: as operators, with the residual add inside, and made of plain operators. */
import type { Compilation } from './compilation.ts';
import { reductionAxes } from './evaluate-arithmetic.ts';
import type { Expression } from './expression.ts';
import type { GraphNode } from './graph-node.ts';
import { constantInput, type Operator } from './layout-operators.ts';
import { addVector } from './linear-operators.ts';
import { unsupported } from './refusal.ts';
import { axisOf } from './tensor.ts';
import type { Hidden, Statistic, Value } from './value.ts';

interface NormParts {
  readonly kind: 'rms' | 'layer';
  readonly epsilon: number;
  readonly weight?: Value | undefined;
  readonly bias?: Value | undefined;
}

function norm(compilation: Compilation, value: Hidden, parts: NormParts, label: string): Hidden {
  const { builder } = compilation;
  const from = builder.settle(value, label);
  const size = from.axes.at(-1)?.size ?? 0;
  if (from.axes.at(-1)?.isToken || size === 0) throw unsupported(`${label} normalises over the tokens`);
  if (!(parts.epsilon >= 0 && parts.epsilon < 1)) throw unsupported(`${label} has the epsilon ${parts.epsilon}`);
  const result = builder.result(from.axes);
  const vector = (given: Value | undefined) => given && compilation.vector(given, size, label);
  const [weight, bias] = [vector(parts.weight), vector(parts.bias)];
  builder.add({
    op: 'norm',
    kind: parts.kind,
    from: from.slice,
    groups: from.slice.width / size,
    epsilon: parts.epsilon,
    ...(weight && { weight }),
    ...(bias && { bias }),
    to: result.slice,
  });
  return result;
}

function simple(kind: 'rms' | 'layer', epsilon: number): Operator {
  return (node, compilation) => {
    const value = node.input(0);
    if (value?.kind !== 'hidden') return undefined;
    const axis = axisOf(node.int('axis', -1), value.axes.length);
    if (axis !== value.axes.length - 1) throw node.refused('it normalises over several axes');
    const parts = { kind, epsilon: node.float('epsilon', epsilon), weight: node.input(1), bias: node.input(2) };
    return norm(compilation, value, parts, node.label);
  };
}

/** Inputs: value, residual, weight, then bias of the norm (layer norms only), then bias of the sum. */
function skipping(kind: 'rms' | 'layer'): Operator {
  return (node, compilation) => {
    const { builder } = compilation;
    const [first, second] = [node.hidden(0), node.hidden(1)];
    const bias = node.input(kind === 'layer' ? 4 : 3);
    const sum = sumOf(compilation, first, addVector(compilation, second, bias, node.label), node.label);
    const parts = {
      ...{ kind, epsilon: node.float('epsilon', 1e-12) },
      ...{ weight: node.input(2), bias: kind === 'layer' ? node.input(3) : undefined },
    };
    const result = norm(compilation, builder.settle(sum, node.label), parts, node.label);
    return [result, undefined, undefined, sum]; // statistics between, which only training reads
  };
}

/** Rows of the same shape. */
function sumOf(compilation: Compilation, a: Hidden, b: Hidden, label: string): Hidden {
  const { builder } = compilation;
  const [left, right] = [builder.settle(a, label), builder.settle(b, label)];
  if (left.slice.width !== right.slice.width)
    throw unsupported(`${label} adds rows of ${left.slice.width} and ${right.slice.width} numbers`);
  const result = builder.result(left.axes);
  builder.add({ op: 'binary', function: 'add', left: left.slice, right: right.slice, to: result.slice });
  return result;
}

/** `ReduceMean` over the last axis, of a value, its square, or the square of its distance to the mean. */
const reduceMean: Operator = (node, compilation) => {
  const value = node.required(0);
  if (value.kind !== 'hidden' && value.kind !== 'centred') return undefined;
  const base = value.kind === 'centred' ? value.base : value;
  const axes = reductionAxes(node, constantInput(node, 1, compilation), base.axes.length);
  if (axes.length !== 1 || axes[0] !== base.axes.length - 1 || !node.int('keepdims', 1))
    throw node.refused('it averages over other than the last axis');
  const statistic = (of: Statistic['of'], from: Hidden): Statistic => ({
    ...{ kind: 'statistic', of, base: from },
    ...{ epsilon: 0, form: 'plain' },
  });
  if (value.kind === 'centred') {
    if (!value.isSquared) throw node.refused('it averages distances to the mean');
    return statistic('variance', base);
  }
  const { expression } = value;
  const root = expression && rootOf(expression);
  if (!root) return statistic('mean', compilation.builder.settle(value, node.label));
  return statistic('meanSquare', compilation.builder.settle({ ...value, expression: root }, node.label));
};

/** What is squared; undefined for what is no square. */
function rootOf(expression: Expression): Expression | undefined {
  if (expression.kind !== 'call') return undefined;
  const [base, by] = expression.args;
  const isSquare =
    (expression.function === 'Pow' && by?.kind === 'number' && by.value === 2) ||
    (expression.function === 'Mul' && JSON.stringify(base) === JSON.stringify(by));
  return isSquare ? base : undefined;
}

/** Steps of a norm that is made of plain operators; undefined for other values. */
export function normPart(node: GraphNode, a: Value, b: Value | undefined, compilation: Compilation): Value | undefined {
  if (node.operator === 'Pow' && a.kind === 'centred' && compilation.number(b) === 2) return { ...a, isSquared: true };
  if (node.operator === 'Mul' && a.kind === 'centred' && b?.kind === 'centred' && isSame(a.base, b.base))
    return { ...a, isSquared: true };
  if (node.operator === 'Sqrt' && a.kind === 'statistic' && a.form === 'plain') return { ...a, form: 'root' };
  if (node.operator === 'Reciprocal' && a.kind === 'statistic' && a.form === 'root')
    return { ...a, form: 'inverseRoot' };
  if (node.operator === 'Pow' && a.kind === 'statistic' && a.form === 'plain') {
    if (compilation.number(b) === 0.5) return { ...a, form: 'root' };
    if (compilation.number(b) === -0.5) return { ...a, form: 'inverseRoot' };
  }
  if (!b) return undefined;
  if (node.operator === 'Add') return withEpsilon(a, b, compilation) ?? withEpsilon(b, a, compilation);
  if (node.operator === 'Sub' && b.kind === 'statistic' && b.of === 'mean' && a.kind === 'hidden') {
    const base = compilation.builder.settle(a, node.label);
    return isSame(base, b.base) ? { kind: 'centred', base, isSquared: false } : undefined;
  }
  if (node.operator === 'Div' && a.kind === 'known' && compilation.number(a) === 1 && b.kind === 'statistic')
    return b.form === 'root' ? { ...b, form: 'inverseRoot' } : undefined;
  if (node.operator === 'Div' && b.kind === 'statistic' && b.form === 'root')
    return normalised(node, a, b, compilation);
  if (node.operator !== 'Mul') return undefined;
  if (b.kind === 'statistic' && b.form === 'inverseRoot') return normalised(node, a, b, compilation);
  if (a.kind === 'statistic' && a.form === 'inverseRoot') return normalised(node, b, a, compilation);
  return undefined;
}

function withEpsilon(a: Value, b: Value, compilation: Compilation): Statistic | undefined {
  const epsilon = compilation.number(b);
  return a.kind === 'statistic' && a.form === 'plain' && epsilon !== undefined ? { ...a, epsilon } : undefined;
}

function normalised(node: GraphNode, value: Value, by: Statistic, compilation: Compilation): Hidden | undefined {
  const kind = by.of === 'meanSquare' && value.kind === 'hidden' ? 'rms' : by.of === 'variance' ? 'layer' : undefined;
  const base =
    value.kind === 'centred' && !value.isSquared
      ? value.base
      : value.kind === 'hidden'
        ? compilation.builder.settle(value, node.label)
        : value;
  const isFitting = base.kind === 'hidden' && isSame(base, by.base) && (kind === 'rms') === (value.kind === 'hidden');
  if (!kind || !isFitting) throw unsupported(`${node.label} divides by a statistic of another value`);
  return norm(compilation, base, { kind, epsilon: by.epsilon }, node.label);
}

export function isSame(a: Hidden, b: Hidden): boolean {
  const { slice: one } = a;
  const { slice: two } = b;
  return (
    one.buffer === two.buffer &&
    one.offset === two.offset &&
    one.width === two.width &&
    a.axes.filter(({ size }) => size > 1).length === b.axes.filter(({ size }) => size > 1).length &&
    JSON.stringify(a.expression) === JSON.stringify(b.expression)
  );
}

export const normOperators: Record<string, Operator> = {
  LayerNormalization: simple('layer', 1e-5),
  SimplifiedLayerNormalization: simple('rms', 1e-5),
  'com.microsoft.SimplifiedLayerNormalization': simple('rms', 1e-5),
  RMSNormalization: simple('rms', 1e-5),
  'com.microsoft.SkipLayerNormalization': skipping('layer'),
  'com.microsoft.SkipSimplifiedLayerNormalization': skipping('rms'),
  ReduceMean: reduceMean,
};
