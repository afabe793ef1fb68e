/** Facts of products with matrices, of convolutions, lookups and fused operators. */
import { broadcast } from './facts-elementwise.ts';
import { TensorProto_DataType } from './onnx_pb.js';
import { multiplySizes, type Size } from './symbolic-size.ts';
import type { FactRule, RuleInput, TensorFacts } from './tensor-facts.ts';
import { intOf, intsOf, stringOf } from './wired-graph.ts';

const { INT32, FLOAT, UINT8 } = TensorProto_DataType;

const rules: Record<string, (input: RuleInput) => readonly TensorFacts[]> = {
  MatMul: (input) => [{ type: input.at(0).type, shape: matmul(input, 0, 1) }],
  MatMulInteger: (input) => [{ type: INT32, shape: matmul(input, 0, 1) }],
  QLinearMatMul: (input) => [{ type: input.at(7).type ?? UINT8, shape: matmul(input, 0, 3) }],
  Gemm: (input) => {
    const [a, b] = [input.at(0).shape, input.at(1).shape];
    const rows = a?.[intOf(input.node, 'transA', 0) ? 1 : 0];
    const columns = b?.[intOf(input.node, 'transB', 0) ? 0 : 1];
    return [{ type: input.at(0).type, shape: [rows ?? input.fresh(), columns ?? input.fresh()] }];
  },
  Einsum: einsum,
  Conv: (input) => [{ type: input.at(0).type, shape: convolved(input) }],
  ConvTranspose: (input) => [{ type: input.at(0).type, shape: input.at(0).shape?.map(input.fresh) }],
  MaxPool: (input) => [{ type: input.at(0).type, shape: pooled(input) }],
  AveragePool: (input) => [{ type: input.at(0).type, shape: pooled(input) }],
  GlobalAveragePool: ({ at }) => [{ type: at(0).type, shape: at(0).shape?.map((size, i) => (i < 2 ? size : 1)) }],
  'com.microsoft.FusedMatMul': (input) => [{ type: input.at(0).type, shape: matmul(input, 0, 1) }],
  'com.microsoft.FusedGemm': (input) => rules.Gemm!(input),
  'com.microsoft.MatMulNBits': (input) => [lastSize(input.at(0), intOf(input.node, 'N', 0) || input.fresh())],
  'com.microsoft.MatMulBnb4': (input) => [lastSize(input.at(0), intOf(input.node, 'N', 0) || input.fresh())],
  'com.microsoft.MatMulIntegerToFloat': (input) => [{ type: FLOAT, shape: matmul(input, 0, 1) }],
  'com.microsoft.DynamicQuantizeMatMul': (input) => [{ type: FLOAT, shape: matmul(input, 0, 1) }],
  'com.microsoft.QLinearAdd': ({ at, fresh }) => [
    { type: at(0).type, shape: at(0).shape && at(3).shape ? broadcast(at(0).shape!, at(3).shape!, fresh) : undefined },
  ],
  'com.microsoft.QLinearMul': (input) => rules['com.microsoft.QLinearAdd']!(input),
  'com.microsoft.GatherBlockQuantized': (input) => {
    const [data, indices, scales] = [input.at(0), input.at(1), input.at(2)];
    const last = data.shape?.at(-1);
    const isPacked = data.type === UINT8 && intOf(input.node, 'bits', 4) === 4;
    const width = last === undefined ? input.fresh() : isPacked ? (multiplySizes(last, 2) ?? input.fresh()) : last;
    return [{ type: scales.type, shape: indices.shape && [...indices.shape, width] }];
  },
  'com.microsoft.EmbedLayerNormalization': ({ at, fresh }) => [
    { type: at(2).type, shape: at(0).shape && [...at(0).shape!, at(2).shape?.[1] ?? fresh()] },
    { type: INT32, shape: [at(0).shape?.[0] ?? fresh()] },
  ],
  'com.microsoft.GroupQueryAttention': ({ node, at, fresh }) => {
    const { type, shape } = at(0);
    const past = at(3).shape;
    const present = { type: at(3).type ?? type, shape: past?.map((size, i) => (i === 2 ? fresh() : size)) };
    const isPacked = !node.inputs[1];
    const [heads, groups] = [intOf(node, 'num_heads', 0), intOf(node, 'kv_num_heads', 0)];
    const last = shape?.at(-1);
    const width = !isPacked ? last : typeof last === 'number' ? (last * heads) / (heads + 2 * groups) : undefined;
    return [{ type, shape: shape && [...shape.slice(0, 2), width ?? fresh()] }, present, present];
  },
  'com.microsoft.MultiHeadAttention': ({ node, at, fresh }) => {
    const { type, shape } = at(0);
    const value = at(2).shape ?? shape;
    const width = value?.length === 4 ? (multiplySizes(value[1]!, value[3]!) ?? fresh()) : value?.at(-1);
    const heads = intOf(node, 'num_heads', 0);
    const size = typeof width === 'number' && heads > 0 ? width / heads : fresh();
    const present = { type, shape: shape && [shape[0]!, heads, fresh(), size] };
    if (shape?.length === 5)
      return [
        { type, shape: [shape[0]!, shape[1]!, multiplySizes(shape[2]!, shape[4]!) ?? fresh()] },
        present,
        present,
      ];
    return [{ type, shape: shape && [shape[0]!, shape[1]!, width ?? fresh()] }, present, present];
  },
  'com.microsoft.QAttention': ({ at, fresh }) => {
    const [{ shape }, columns] = [at(0), at(1).shape?.at(-1)];
    const width = typeof columns === 'number' ? columns / 3 : fresh();
    return [
      { type: at(3).type, shape: shape && [...shape.slice(0, -1), width] },
      { type: at(3).type, shape: at(8).shape?.map((size, i) => (i === 3 ? fresh() : size)) },
    ];
  },
  'com.microsoft.Attention': ({ node, at, fresh }) => {
    const { type, shape } = at(0);
    const sizes = intsOf(node, 'qkv_hidden_sizes');
    const all = at(1).shape?.at(-1);
    const width = sizes?.[2] ?? (typeof all === 'number' ? all / 3 : fresh());
    return [
      { type, shape: shape && [...shape.slice(0, -1), width] },
      { type, shape: at(4).shape?.map((size, i) => (i === 3 ? fresh() : size)) },
    ];
  },
  Attention: ({ node, at, fresh }) => {
    const [{ type, shape }, { shape: value }] = [at(0), at(2)];
    const heads = intOf(node, 'q_num_heads', 0);
    const groups = intOf(node, 'kv_num_heads', heads);
    const last = value?.at(-1);
    const own = shape?.length === 4 ? last : typeof last === 'number' && groups > 0 ? (last / groups) * heads : fresh();
    const present = (position: number) => ({
      type,
      shape: at(position).shape?.map((size, i) => (i === 2 ? fresh() : size)),
    });
    return [{ type, shape: shape && [...shape.slice(0, -1), own ?? fresh()] }, present(4), present(5)];
  },
};

export const inferProducts: FactRule = (input) => {
  const { operator } = input.node;
  return Object.hasOwn(rules, operator) ? rules[operator]!(input) : undefined;
};

function lastSize({ type, shape }: TensorFacts, size: Size): TensorFacts {
  return { type, shape: shape && [...shape.slice(0, -1), size] };
}

function matmul({ node, at, fresh }: RuleInput, left: number, right: number): Size[] | undefined {
  let [a, b] = [at(left).shape, at(right).shape];
  if (!a || !b || a.length === 0 || b.length === 0) return undefined;
  if (intOf(node, 'transA', 0)) a = swapped(a);
  if (intOf(node, 'transB', 0)) b = swapped(b);
  const leading = broadcast(a.slice(0, -2), b.slice(0, -2), fresh);
  return [...leading, ...(a.length > 1 ? [a.at(-2)!] : []), ...(b.length > 1 ? [b.at(-1)!] : [])];
}

function swapped(shape: readonly Size[]): readonly Size[] {
  return shape.length < 2 ? shape : [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];
}

export interface EinsumTerms {
  readonly inputs: readonly string[];
  readonly output: string;
}

/** Undefined where letters stand for several axes, or one stands twice in a term. */
export function einsumTerms(equation: string | undefined): EinsumTerms | undefined {
  const [left, output] = equation?.replaceAll(' ', '').split('->') ?? [];
  if (left === undefined || output === undefined || equation?.includes('...')) return undefined;
  const inputs = left.split(',');
  const isPlain = [...inputs, output].every((term) => /^[A-Za-z]*$/.test(term) && new Set(term).size === term.length);
  return isPlain ? { inputs, output } : undefined;
}

function einsum({ node, at, fresh }: RuleInput): readonly TensorFacts[] {
  const terms = einsumTerms(stringOf(node, 'equation'));
  if (!terms) return [{ type: at(0).type }];
  const sizes = new Map<string, Size>();
  for (const [i, term] of terms.inputs.entries())
    for (const [axis, letter] of [...term].entries()) {
      const size = at(i).shape?.[axis];
      if (size !== undefined && (!sizes.has(letter) || sizes.get(letter) === 1)) sizes.set(letter, size);
    }
  return [{ type: at(0).type, shape: [...terms.output].map((letter) => sizes.get(letter) ?? fresh()) }];
}

function convolved(input: RuleInput): Size[] | undefined {
  const { shape } = input.at(0);
  const weights = input.at(1).shape;
  if (!shape) return undefined;
  return shape.map((size, i) =>
    i === 0 ? size : i === 1 ? (weights?.[0] ?? input.fresh()) : spatial(input, size, i - 2, weights?.[i]),
  );
}

function pooled(input: RuleInput): Size[] | undefined {
  const kernel = intsOf(input.node, 'kernel_shape');
  return input.at(0).shape?.map((size, i) => (i < 2 ? size : spatial(input, size, i - 2, kernel?.[i - 2])));
}

function spatial({ node, fresh }: RuleInput, size: Size, axis: number, kernel: Size | undefined): Size {
  const padding = stringOf(node, 'auto_pad') ?? 'NOTSET';
  if (typeof size !== 'number' || typeof kernel !== 'number' || padding !== 'NOTSET' || intOf(node, 'ceil_mode', 0))
    return fresh();
  const pads = intsOf(node, 'pads') ?? [];
  const half = pads.length / 2;
  const [stride, dilation] = [intsOf(node, 'strides')?.[axis] ?? 1, intsOf(node, 'dilations')?.[axis] ?? 1];
  const whole = size + (pads[axis] ?? 0) + (pads[axis + half] ?? 0);
  return Math.floor((whole - (dilation * (kernel - 1) + 1)) / stride) + 1;
}
