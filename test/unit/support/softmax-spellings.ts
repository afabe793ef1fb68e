/** Attention spelled out with plain operators, in the ways that exporters and architectures do it. */
import type { GraphBuilder } from './graph-builder.ts';

/** Of one attention: names of tensors of a graph that is being built. */
export interface Spelled {
  /** Weights as the graph has them in its product with the values. */
  readonly weights: string;
  /** What goes to the output projection. */
  readonly output: string;
}

export const width = 16;
export const heads = 4;
export const headDim = 4;

/** [batch, tokens, width] projected to [batch, tokens, count, headDim]. */
export function projected(graph: GraphBuilder, x: string, count = heads): string {
  const product = graph.node('MatMul', [x, graph.random([width, count * headDim], 1.5)]);
  return graph.node('Reshape', [product, graph.ints([0, 0, count, headDim])]);
}

/** To [batch, head, token, headDim]. */
export function byHead(graph: GraphBuilder, x: string): string {
  return graph.node('Transpose', [x], { perm: [0, 2, 1, 3] });
}

export function turned(graph: GraphBuilder, keys: string, rank = 4): string {
  const perm = Array.from({ length: rank }, (_, i) => i);
  return graph.node('Transpose', [keys], { perm: [...perm.slice(0, -2), rank - 1, rank - 2] });
}

export function scaled(graph: GraphBuilder, scores: string): string {
  return graph.node('Div', [scores, graph.float(2)]);
}

/** 0 where a query may see a key, else a very small number: [tokens, tokens]. */
export function causalMask(graph: GraphBuilder, x: string): string {
  const tokens = graph.node('Gather', [graph.node('Shape', [x]), graph.ints([1], [])]);
  const range = graph.node('Range', [graph.ints([0], []), tokens, graph.ints([1], [])]);
  const rows = graph.node('Unsqueeze', [range, graph.ints([1])]);
  const isLater = graph.node('Greater', [range, rows]);
  return graph.node('Where', [isLater, graph.float(-3.4e38), graph.float(0)]);
}

/** From [batch, head, token, headDim] to [batch, token, width]. */
export function merged(graph: GraphBuilder, context: string): string {
  return graph.node('Reshape', [byHead(graph, context), graph.ints([0, 0, width])]);
}

export function softmax(graph: GraphBuilder, scores: string): string {
  return graph.node('Softmax', [scores], { axis: -1 });
}

export interface PlainParts {
  readonly kvHeads?: number;
  /** Scores [batch, head, query, key] to what softmax gets. */
  readonly scores?: (graph: GraphBuilder, scores: string, x: string) => string;
  /** Those to weights. */
  readonly weights?: (graph: GraphBuilder, scores: string) => string;
  /** Keys and values come from here. */
  readonly source?: string;
}

/** Query, key and value projections, a head each, and what happens between the two products as the parts say. */
export function plain(graph: GraphBuilder, x: string, parts: PlainParts = {}): Spelled {
  const { kvHeads = heads, source = x } = parts;
  const query = byHead(graph, projected(graph, x));
  const [key, value] = [0, 1].map(() => repeated(graph, byHead(graph, projected(graph, source, kvHeads)), kvHeads));
  const products = scaled(graph, graph.node('MatMul', [query, turned(graph, key!)]));
  const scores = parts.scores?.(graph, products, x) ?? products;
  const weights = (parts.weights ?? softmax)(graph, scores);
  return { weights, output: merged(graph, graph.node('MatMul', [weights, value!])) };
}

/** As transformers' repeat_kv: [batch, kvHeads, token, headDim] to as many heads as the queries have. */
function repeated(graph: GraphBuilder, x: string, kvHeads: number): string {
  if (kvHeads === heads) return x;
  const shape = graph.node('Shape', [x]);
  const size = (axis: number) => graph.node('Gather', [shape, graph.ints([axis])]);
  const [batch, tokens] = [size(0), size(2)];
  const joined = (...parts: string[]) => graph.node('Concat', parts, { axis: 0 });
  const five = joined(batch, graph.ints([kvHeads, heads / kvHeads]), tokens, graph.ints([headDim]));
  const copies = graph.node('Expand', [graph.node('Unsqueeze', [x, graph.ints([2])]), five]);
  return graph.node('Reshape', [copies, joined(batch, graph.ints([heads]), tokens, graph.ints([headDim]))]);
}
