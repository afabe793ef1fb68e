/** A decoder of two layers whose parts a test may write in another way, to see what a compiler makes of them. */
import { type OnnxModel, readModel } from '../../../webview/engine/graph/onnx-model.ts';
import type { TensorRef } from '../../../webview/engine/runtime/simd/plan.ts';
import { GraphBuilder } from './graph-builder.ts';

export const tiny = { vocab: 20, hidden: 16, heads: 4, kvHeads: 2, headDim: 8, inner: 24, context: 48 } as const;

type Sizes = { readonly [Name in keyof typeof tiny]: number };

/** Sizes, and names of tensors that layers share. */
export interface Shared {
  readonly sizes: Sizes;
  readonly lengths: readonly [string, string];
  readonly cos: string;
  readonly sin: string;
}

export type Part = (graph: GraphBuilder, x: string, shared: Shared, layer: number) => string;

export interface TinyParts {
  readonly sizes?: Partial<Sizes>;
  readonly embed?: (graph: GraphBuilder) => string;
  /** Before attention, MLP and head. */
  readonly norm?: (graph: GraphBuilder, x: string) => string;
  /** From the residual stream to what is added to it. */
  readonly attention?: Part;
  readonly mlp?: Part;
  /** One layer: from the residual stream to the residual stream, instead of the two. */
  readonly layer?: Part;
  readonly head?: (graph: GraphBuilder, x: string) => string;
  /** Numbers of a head that rotate. */
  readonly rotaryDim?: number;
  /** Keys and values of a layer are one input. */
  readonly isPaired?: boolean;
}

export function tinyDecoder(parts: TinyParts = {}): OnnxModel {
  return readModel(tinyBytes(parts));
}

export function tinyBytes(parts: TinyParts = {}): Uint8Array<ArrayBuffer> {
  const sizes: Sizes = { ...tiny, ...parts.sizes };
  const { vocab, hidden, headDim, kvHeads, context } = sizes;
  const graph = new GraphBuilder();
  graph.input('input_ids', 'int', ['batch', 'tokens']);
  graph.input('attention_mask', 'int', ['batch', 'total']);
  for (const layer of [0, 1])
    for (const part of parts.isPaired ? ['pair'] : ['key', 'value'])
      graph.input(`past.${layer}.${part}`, 'float', [
        ...(parts.isPaired ? [2] : []),
        ...['batch', kvHeads, 'past', headDim],
      ]);
  const half = (parts.rotaryDim ?? headDim) / 2;
  const angles = Array.from({ length: context * half }, (_, i) => Math.floor(i / half) / 20 ** ((i % half) / half));
  const last = graph.node('Sub', [graph.node('ReduceSum', ['attention_mask', graph.ints([1])]), graph.ints([1])]);
  const total = graph.node('Gather', [graph.node('Shape', ['attention_mask']), graph.ints([1])]);
  const shared: Shared = {
    sizes,
    lengths: [graph.node('Cast', [last], { to: 6 }), graph.node('Cast', [total], { to: 6 })],
    cos: graph.floats([context, half], angles.map(Math.cos)),
    sin: graph.floats([context, half], angles.map(Math.sin)),
  };
  const { attention = groupQuery(), mlp = gatedMlp } = parts;
  const norm = parts.norm ?? ((_: GraphBuilder, y: string) => rmsNorm(graph, y, hidden));
  let x = parts.embed?.(graph) ?? graph.node('Gather', [graph.random([vocab, hidden], 2), 'input_ids']);
  for (const layer of [0, 1]) {
    if (parts.layer) x = parts.layer(graph, x, shared, layer);
    else {
      x = graph.node('Add', [x, attention(graph, norm(graph, x), shared, layer)]);
      x = graph.node('Add', [x, mlp(graph, norm(graph, x), shared, layer)]);
    }
  }
  graph.output(parts.head?.(graph, norm(graph, x)) ?? product(graph, norm(graph, x), hidden, vocab));
  return graph.bytesOfModel();
}

export function rmsNorm(graph: GraphBuilder, x: string, width: number): string {
  return graph.node('RMSNormalization', [x, graph.random([width], 2)], { axis: -1, epsilon: 1e-5 });
}

export function product(graph: GraphBuilder, x: string, columns: number, rows: number): string {
  return graph.node('MatMul', [x, graph.random([columns, rows])]);
}

export interface GroupQueryForm {
  readonly attributes?: Record<string, number>;
  readonly isPacked?: boolean;
  /** A number for each head. */
  readonly sink?: readonly number[];
}

export function groupQuery({ attributes = {}, isPacked = false, sink }: GroupQueryForm = {}): Part {
  return (graph, x, { sizes, lengths, cos, sin }, layer) => {
    const { hidden, heads, kvHeads, headDim } = sizes;
    const qkv = isPacked
      ? [product(graph, x, hidden, (heads + 2 * kvHeads) * headDim), '', '']
      : [heads, kvHeads, kvHeads].map((count) => product(graph, x, hidden, count * headDim));
    const inputs = [...qkv, `past.${layer}.key`, `past.${layer}.value`, ...lengths, cos, sin];
    if (sink) inputs.push('', '', graph.floats([sink.length], sink));
    const all = { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1, ...attributes };
    const [attended, ...present] = graph.nodeOf('com.microsoft.GroupQueryAttention', inputs, all, 3);
    for (const name of present) graph.output(name);
    return product(graph, attended!, heads * headDim, hidden);
  };
}

const gatedMlp: Part = (graph, x, { sizes: { hidden, inner } }) => {
  const [gate, up] = [product(graph, x, hidden, inner), product(graph, x, hidden, inner)];
  const silu = graph.node('Mul', [gate, graph.node('Sigmoid', [gate])]);
  return product(graph, graph.node('Mul', [silu, up]), inner, hidden);
};

/** Constants of a graph whose weights lie inside. */
export function inlineBytes({ source, name }: TensorRef): Uint8Array {
  if ('bytes' in source) return source.bytes;
  throw new Error(`${name} lies in ${source.file}.`);
}
