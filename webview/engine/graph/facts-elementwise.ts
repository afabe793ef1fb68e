/** Facts of operators that work on each element alone, of norms, and of what keeps or broadcasts shapes. */
import { TensorProto_DataType } from './onnx_pb.js';
import { addSizes, divideSizes, isSame, isUnknown, multiplySizes, type Size } from './symbolic-size.ts';
import { type FactRule, maxValues, type RuleInput, type TensorFacts } from './tensor-facts.ts';
import { intOf } from './wired-graph.ts';

const { BOOL, INT64, UINT8, FLOAT } = TensorProto_DataType;

/** The shape and type of the first input. */
const unary = new Set(
  (
    'Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Clip Cos Cosh Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish ' +
    'Hardmax Identity LeakyRelu Log LogSoftmax Mish Neg Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softmax ' +
    'Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu CumSum BatchNormalization InstanceNormalization ' +
    'LayerNormalization GroupNormalization RMSNormalization SimplifiedLayerNormalization LpNormalization ' +
    'MeanVarianceNormalization RotaryEmbedding ScatterND ScatterElements PRelu Not BitShift ReverseSequence Bernoulli ' +
    'com.microsoft.Gelu com.microsoft.FastGelu com.microsoft.QuickGelu com.microsoft.BiasGelu com.microsoft.BiasSoftmax ' +
    'com.microsoft.RotaryEmbedding com.microsoft.SkipLayerNormalization com.microsoft.SkipSimplifiedLayerNormalization ' +
    'com.microsoft.SimplifiedLayerNormalization com.microsoft.QLinearSoftmax com.microsoft.SkipGroupNorm ' +
    'com.microsoft.QLinearSigmoid com.microsoft.QLinearLeakyRelu com.microsoft.BiasSplitGelu com.microsoft.BitmaskDropout'
  ).split(' '),
);
const comparisons = new Set('Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor'.split(' '));
const binary = new Set('Add Sub Mul Div Pow Mod Min Max Sum Mean BitwiseAnd BitwiseOr BitwiseXor'.split(' '));

export const inferElementwise: FactRule = (input) => {
  const { node } = input;
  const { operator } = node;
  if (unary.has(operator)) {
    const facts = unaryFacts(input);
    // The last output of a norm with a residual is their sum.
    return operator.startsWith('com.microsoft.Skip') ? [facts, {}, {}, facts] : [facts];
  }
  if (binary.has(operator)) return [{ ...broadcastAll(input, input.at(0).type), values: binaryValues(input) }];
  if (comparisons.has(operator)) return [{ ...broadcastAll(input, BOOL), values: binaryValues(input) }];
  if (operator === 'IsNaN' || operator === 'IsInf') return [{ type: BOOL, shape: input.at(0).shape }];
  if (operator === 'Where') return [{ ...broadcastAll(input, input.at(1).type), values: whereValues(input) }];
  if (operator === 'Cast') return [{ ...input.at(0), type: intOf(node, 'to', FLOAT) }];
  if (operator === 'CastLike') return [{ ...input.at(0), type: input.at(1).type }];
  if (operator === 'QuantizeLinear') {
    const type = input.at(2).type ?? (intOf(node, 'output_dtype', 0) || UINT8);
    return [{ type, shape: input.at(0).shape }];
  }
  if (operator === 'DequantizeLinear') return [{ type: input.at(1).type ?? FLOAT, shape: input.at(0).shape }];
  if (operator === 'com.microsoft.QuantizeLinear')
    return [{ type: input.at(2).type ?? UINT8, shape: input.at(0).shape }];
  if (operator === 'com.microsoft.DequantizeLinear')
    return [{ type: input.at(1).type ?? FLOAT, shape: input.at(0).shape }];
  if (operator === 'DynamicQuantizeLinear')
    return [
      { type: UINT8, shape: input.at(0).shape },
      { type: FLOAT, shape: [] },
      { type: UINT8, shape: [] },
    ];
  return undefined;
};

function unaryFacts({ node, at }: RuleInput): TensorFacts {
  const { type, shape, values } = at(0);
  const f = unaryValues[node.operator];
  return {
    type,
    shape,
    values:
      f &&
      values?.map((value) => (typeof value === 'number' ? f(value) : node.operator === 'Identity' ? value : undefined)),
  };
}

const unaryValues: Record<string, (x: number) => number> = {
  Identity: (x) => x,
  Sqrt: Math.sqrt,
  Neg: (x) => -x,
  Floor: Math.floor,
  Ceil: Math.ceil,
  Abs: Math.abs,
  Reciprocal: (x) => 1 / x,
  Log: Math.log,
  Exp: Math.exp,
  Not: (x) => (x ? 0 : 1),
};

/** Numpy's rule; a size that only a run knows is taken for one that is known better, and not for 1. */
export function broadcast(a: readonly Size[], b: readonly Size[], fresh: () => Size): Size[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [x, y] = [a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1];
    if (x === 1 || isSame(x, y)) return y;
    if (y === 1) return x;
    if (typeof x === 'number') return x;
    if (typeof y === 'number') return y;
    return isUnknown(y) ? (isUnknown(x) ? fresh() : x) : isUnknown(x) ? y : fresh();
  });
}

function broadcastAll({ node, at, fresh }: RuleInput, type: number | undefined): TensorFacts {
  let shape: readonly Size[] | undefined = [];
  for (let i = 0; i < node.inputs.length; i++) {
    const next: readonly Size[] | undefined = at(i).shape;
    shape = shape && next && broadcast(shape, next, fresh);
  }
  return { type, shape };
}

function binaryValues({ node: { operator }, at }: RuleInput): (Size | undefined)[] | undefined {
  const [{ values: a, type }, { values: b }] = [at(0), at(1)];
  if (!a || !b || (a.length !== b.length && a.length !== 1 && b.length !== 1)) return undefined;
  const length = a.length === 0 || b.length === 0 ? 0 : Math.max(a.length, b.length);
  if (length > maxValues) return undefined;
  return Array.from({ length }, (_, i) =>
    combine(operator, a[a.length === 1 ? 0 : i], b[b.length === 1 ? 0 : i], type),
  );
}

function combine(
  operator: string,
  a: Size | undefined,
  b: Size | undefined,
  type: number | undefined,
): Size | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (typeof a === 'number' && typeof b === 'number') return numbers(operator, a, b, type);
  if (operator === 'Add') return addSizes(a, b);
  if (operator === 'Sub') {
    const negative = multiplySizes(b, -1);
    return negative === undefined ? undefined : addSizes(a, negative);
  }
  if (operator === 'Mul') return multiplySizes(a, b);
  if (operator === 'Div') return divideSizes(a, b);
  // Sizes are no negative numbers: exporters compare them with -1.
  if (operator === 'Equal') return isSame(a, b) ? 1 : isNegative(a) || isNegative(b) ? 0 : undefined;
  return undefined;
}

function isNegative(size: Size): boolean {
  return typeof size === 'number' && size < 0;
}

function numbers(operator: string, a: number, b: number, type: number | undefined): number | undefined {
  const isWhole = type === INT64 || type === TensorProto_DataType.INT32;
  if (operator === 'Add') return a + b;
  if (operator === 'Sub') return a - b;
  if (operator === 'Mul') return a * b;
  if (operator === 'Div') return isWhole ? (b === 0 ? undefined : Math.trunc(a / b)) : a / b;
  if (operator === 'Pow') return a ** b;
  if (operator === 'Mod') return b === 0 ? undefined : ((a % b) + b) % b;
  if (operator === 'Min') return Math.min(a, b);
  if (operator === 'Max') return Math.max(a, b);
  if (operator === 'Equal') return Number(a === b);
  if (operator === 'Greater') return Number(a > b);
  if (operator === 'GreaterOrEqual') return Number(a >= b);
  if (operator === 'Less') return Number(a < b);
  if (operator === 'LessOrEqual') return Number(a <= b);
  if (operator === 'And') return Number(a && b ? 1 : 0);
  if (operator === 'Or') return Number(a || b ? 1 : 0);
  return undefined;
}

function whereValues({ at }: RuleInput): (Size | undefined)[] | undefined {
  const [condition, yes, no] = [at(0).values, at(1).values, at(2).values];
  if (!condition) return undefined;
  const length = Math.max(condition.length, yes?.length ?? 0, no?.length ?? 0);
  if (length > maxValues) return undefined;
  return Array.from({ length }, (_, i) => {
    const which = condition[condition.length === 1 ? 0 : i];
    const from = typeof which !== 'number' ? undefined : which ? yes : no;
    return from?.[from.length === 1 ? 0 : i];
  });
}
