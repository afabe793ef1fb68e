/** Attention as exporters write it: operators of both domains, with what they take, and rotary embedding before them. */
import type { GraphBuilder } from './graph-builder.ts';
import { type Part, product, rmsNorm, type Shared } from './tiny-decoder.ts';

export interface ProjectedForm {
  readonly hasBias?: boolean;
  /** Of queries and keys, over each head (Qwen3, Gemma 3). */
  readonly hasHeadNorms?: boolean;
  /** Between projection and attention, of queries and keys [1, token, heads * headDim]. */
  readonly turn?: (graph: GraphBuilder, x: string, heads: number, shared: Shared) => string;
}

/** Queries, keys and values of [1, token, heads * headDim]. */
function projected(
  graph: GraphBuilder,
  x: string,
  shared: Shared,
  { hasBias, hasHeadNorms, turn }: ProjectedForm = {},
): [string, string, string] {
  const { hidden, heads, kvHeads, headDim } = shared.sizes;
  return [heads, kvHeads, kvHeads].map((count, i) => {
    const width = count * headDim;
    let y = product(graph, x, hidden, width);
    if (hasBias) y = graph.node('Add', [y, graph.random([width])]);
    if (i === 2) return y;
    if (hasHeadNorms) {
      const rows = graph.node('Reshape', [y, graph.ints([0, 0, count, headDim])]);
      y = graph.node('Reshape', [rmsNorm(graph, rows, headDim), graph.ints([0, 0, width])]);
    }
    return turn?.(graph, y, count, shared) ?? y;
  }) as [string, string, string];
}

/** Of the tokens of this run: [1, token]. */
export function positions(graph: GraphBuilder): string {
  const sum = graph.node('CumSum', ['attention_mask', graph.ints([1], [])]);
  const all = graph.node('Sub', [sum, graph.ints([1])]);
  const tokens = graph.node('Shape', ['input_ids'], { start: 1, end: 2 });
  return graph.node('Slice', [all, graph.node('Neg', [tokens]), graph.ints([2 ** 31]), graph.ints([1])]);
}

/** `com.microsoft.RotaryEmbedding` on rows. */
export function turnRows(attributes: Record<string, number> = {}): NonNullable<ProjectedForm['turn']> {
  return (graph, x, heads, { cos, sin }) =>
    graph.node('com.microsoft.RotaryEmbedding', [x, positions(graph), cos, sin], { num_heads: heads, ...attributes });
}

/** The same with the first position alone. */
export const turnFrom: NonNullable<ProjectedForm['turn']> = (graph, x, heads, { cos, sin }) => {
  const lengths = ['attention_mask', 'input_ids'].map((name) => graph.node('Shape', [name], { start: 1 }));
  return graph.node('com.microsoft.RotaryEmbedding', [x, graph.node('Sub', lengths), cos, sin], { num_heads: heads });
};

/** `RotaryEmbedding` of ONNX on rows. */
export function turnOnnx(attributes: Record<string, number> = {}): NonNullable<ProjectedForm['turn']> {
  return (graph, x, heads, { cos, sin }) =>
    graph.node('RotaryEmbedding', [x, cos, sin, positions(graph)], { num_heads: heads, ...attributes });
}

/** `RotaryEmbedding` of either domain on [1, head, token, dim]. */
export function turnHeads(domain: '' | 'com.microsoft.'): NonNullable<ProjectedForm['turn']> {
  return (graph, x, heads, { cos, sin, sizes: { headDim } }) => {
    const inputs = (y: string) => (domain ? [y, positions(graph), cos, sin] : [y, cos, sin, positions(graph)]);
    const turned = graph.node(`${domain}RotaryEmbedding`, inputs(byHeads(graph, x, heads, headDim)));
    return byRows(graph, turned, heads * headDim);
  };
}

function byHeads(graph: GraphBuilder, x: string, heads: number, headDim: number): string {
  const rows = graph.node('Reshape', [x, graph.ints([0, 0, heads, headDim])]);
  return graph.node('Transpose', [rows], { perm: [0, 2, 1, 3] });
}

function byRows(graph: GraphBuilder, x: string, width: number): string {
  return graph.node('Reshape', [graph.node('Transpose', [x], { perm: [0, 2, 1, 3] }), graph.ints([0, 0, width])]);
}

function finished(graph: GraphBuilder, outputs: readonly string[], { sizes }: Shared): string {
  const [attended, ...present] = outputs;
  for (const name of present) graph.output(name);
  return product(graph, attended!, sizes.heads * sizes.headDim, sizes.hidden);
}

/** `GroupQueryAttention` on projections that the graph has changed; `more` are its inputs from the seventh on. */
export function groupQueryOf(
  form: ProjectedForm,
  attributes: Record<string, number> = {},
  more: (graph: GraphBuilder, shared: Shared) => readonly string[] = () => [],
): Part {
  return (graph, x, shared, layer) => {
    const { heads, kvHeads } = shared.sizes;
    const qkv = projected(graph, x, shared, form);
    const inputs = [...qkv, `past.${layer}.key`, `past.${layer}.value`, ...shared.lengths, ...more(graph, shared)];
    const all = { num_heads: heads, kv_num_heads: kvHeads, ...attributes };
    return finished(graph, graph.nodeOf('com.microsoft.GroupQueryAttention', inputs, all, 3), shared);
  };
}

export interface MultiHeadForm extends ProjectedForm {
  /** An input of the operator itself. */
  readonly hasOwnBias?: boolean;
  readonly mask?: (graph: GraphBuilder) => string;
  readonly attributes?: Record<string, number>;
}

export function multiHead({ hasOwnBias, mask, attributes, ...form }: MultiHeadForm = {}): Part {
  return (graph, x, shared, layer) => {
    const { heads, headDim } = shared.sizes;
    const bias = hasOwnBias ? graph.random([3 * heads * headDim]) : '';
    const past = [`past.${layer}.key`, `past.${layer}.value`];
    const inputs = [...projected(graph, x, shared, form), bias, '', mask?.(graph) ?? '', ...past];
    const all = { num_heads: heads, unidirectional: mask ? 0 : 1, ...attributes };
    return finished(graph, graph.nodeOf('com.microsoft.MultiHeadAttention', inputs, all, 3), shared);
  };
}

/** GPT-2's `Attention`: one projection inside, one cache of keys and values. */
export function packedAttention(attributes: Record<string, number> = {}): Part {
  return (graph, x, shared, layer) => {
    const { hidden, heads, headDim } = shared.sizes;
    const width = 3 * heads * headDim;
    const mask = graph.node('Cast', ['attention_mask'], { to: 6 });
    const inputs = [x, graph.random([hidden, width]), graph.random([width]), mask, `past.${layer}.pair`];
    const all = { num_heads: heads, unidirectional: 1, ...attributes };
    return finished(graph, graph.nodeOf('com.microsoft.Attention', inputs, all, 2), shared);
  };
}

export interface OnnxForm extends ProjectedForm {
  readonly mask?: (graph: GraphBuilder) => string;
  readonly attributes?: Record<string, number>;
  /** Its inputs are [1, head, token, dim]. */
  readonly isByHead?: boolean;
}

/** `Attention` of ONNX, operator set 23. */
export function onnxAttention({ mask, attributes, isByHead, ...form }: OnnxForm = {}): Part {
  return (graph, x, shared, layer) => {
    const { heads, kvHeads, headDim } = shared.sizes;
    const rows = projected(graph, x, shared, form);
    const qkv = isByHead ? rows.map((y, i) => byHeads(graph, y, i === 0 ? heads : kvHeads, headDim)) : rows;
    const inputs = [...qkv, mask?.(graph) ?? '', `past.${layer}.key`, `past.${layer}.value`];
    const counts = isByHead ? {} : { q_num_heads: heads, kv_num_heads: kvHeads };
    const all = { ...counts, is_causal: mask ? 0 : 1, ...attributes };
    const [attended, ...present] = graph.nodeOf('Attention', inputs, all, 3);
    const row = isByHead ? byRows(graph, attended!, heads * headDim) : attended!;
    return finished(graph, [row, ...present], shared);
  };
}

/** What a query sees: itself and at most `window` - 1 keys before it, as bool [token, total]. */
export function visible(graph: GraphBuilder, window = Number.POSITIVE_INFINITY): string {
  const total = graph.node('Squeeze', [graph.node('Shape', ['attention_mask'], { start: 1 })]);
  const keys = graph.node('Range', [graph.ints([0], []), total, graph.ints([1], [])]);
  const queries = graph.node('Unsqueeze', [
    graph.node('Squeeze', [positions(graph), graph.ints([0])]),
    graph.ints([1]),
  ]);
  const isEarlier = graph.node('LessOrEqual', [keys, queries]);
  if (!Number.isFinite(window)) return isEarlier;
  const first = graph.node('Sub', [queries, graph.ints([window], [])]);
  return graph.node('And', [isEarlier, graph.node('Greater', [keys, first])]);
}

/** The same as what is added to scores: [1, 1, token, total]. */
export function hiding(graph: GraphBuilder, window?: number): string {
  const mask = graph.node('Where', [visible(graph, window), graph.float(0), graph.float(-3.4e38)]);
  return graph.node('Unsqueeze', [mask, graph.ints([0, 1])]);
}
