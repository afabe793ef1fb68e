/**
 * Finds the attention operators of a decoder graph by their type and wiring, never by node names.
 * Operator: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GroupQueryAttention
 */
import { AppError } from '../../../src/shared/app-error.ts';
import type { NodeProto } from './onnx_pb.js';
import { floatAttribute, intAttribute, isOperator, type OnnxModel } from './onnx-model.ts';

interface RotaryWiring {
  /** Tensor names of the caches: [position, half of the rotated size]. */
  readonly cos: string;
  readonly sin: string;
  /** Pairs are neighbours (2i, 2i + 1) instead of (i, i + half). */
  readonly isInterleaved: boolean;
}

/** One GroupQueryAttention node. All names are names of tensors. */
export interface AttentionNode {
  readonly node: NodeProto;
  /** [batch, token, heads * headDim], or with K and V behind Q in the last dimension when `isPacked`. */
  readonly query: string;
  readonly key: string | undefined;
  readonly value: string | undefined;
  readonly isPacked: boolean;
  readonly heads: number;
  readonly kvHeads: number;
  /** Rotary embedding done inside the operator, on Q and K. */
  readonly rotary: RotaryWiring | undefined;
  /** Absent: 1 / sqrt(headDim). */
  readonly scale: number | undefined;
  readonly softcap: number | undefined;
  readonly window: number | undefined;
  readonly pastKey: string;
  readonly presentKey: string;
  readonly presentValue: string;
}

/** Positions in `NodeProto.input`. */
const input = { query: 0, key: 1, value: 2, pastKey: 3, cos: 7, sin: 8, bias: 10, sink: 11 } as const;

/**
 * In the order of the layers.
 * @throws AppError `model-unsupported`, naming what was found, when attention cannot be tapped.
 */
export function findAttention({ graph }: OnnxModel): AttentionNode[] {
  const found = graph.node.filter((node) => isOperator(node, 'com.microsoft', 'GroupQueryAttention'));
  if (found.length === 0) throw unsupported(`no GroupQueryAttention in it, but ${listOperators(graph.node)}`);
  const order = new Map(graph.input.map(({ name }, index) => [name, index]));
  const nodes = found.map(describe);
  return nodes.sort((a, b) => (order.get(a.pastKey) ?? 0) - (order.get(b.pastKey) ?? 0));
}

function describe(node: NodeProto): AttentionNode {
  const at = (position: number) => node.input[position] || undefined;
  const label = node.name || node.output[0] || 'GroupQueryAttention';
  const [query, key, value, pastKey] = [at(input.query), at(input.key), at(input.value), at(input.pastKey)];
  const [, presentKey, presentValue] = node.output;
  if (!query || !presentKey || !presentValue)
    throw unsupported(`${label}, which lacks the query, the present key or the present value`);
  if (!key !== !value) throw unsupported(`${label}, which has only one of key and value`);
  for (const [position, what] of [
    [input.bias, 'an attention bias'],
    [input.sink, 'head sinks'],
  ] as const)
    if (at(position)) throw unsupported(`${label}, whose weights also depend on ${what}`);
  for (let position = input.sink + 1; position < node.input.length; position++)
    if (at(position)) throw unsupported(`${label}, which has an input (${at(position)}) that is not known here`);
  if (intAttribute(node, 'smooth_softmax', 0) > 0) throw unsupported(`${label}, which uses smooth softmax`);

  const heads = intAttribute(node, 'num_heads', 0);
  const kvHeads = intAttribute(node, 'kv_num_heads', heads);
  if (heads <= 0 || kvHeads <= 0 || heads % kvHeads !== 0)
    throw unsupported(`${label}, with ${heads} query heads over ${kvHeads} key/value heads`);
  const scale = floatAttribute(node, 'scale', 0);
  const softcap = floatAttribute(node, 'softcap', 0);
  const window = intAttribute(node, 'local_window_size', -1);
  return {
    node,
    query,
    key,
    value,
    isPacked: !key,
    heads,
    kvHeads,
    rotary: rotaryOf(node, label),
    scale: scale === 0 ? undefined : scale,
    softcap: softcap > 0 ? softcap : undefined,
    window: window > 0 ? window : undefined,
    pastKey: pastKey ?? '',
    presentKey,
    presentValue,
  };
}

function rotaryOf(node: NodeProto, label: string): RotaryWiring | undefined {
  if (intAttribute(node, 'do_rotary', 0) === 0) return undefined;
  const [cos, sin] = [node.input[input.cos], node.input[input.sin]];
  if (!cos || !sin) throw unsupported(`${label}, which rotates queries without a cosine and sine cache`);
  return { cos, sin, isInterleaved: intAttribute(node, 'rotary_interleaved', 0) === 1 };
}

function unsupported(what: string): AppError {
  return new AppError('model-unsupported', `Attention of this model cannot be read: its graph has ${what}.`);
}

/** Other attention operators if there are any, else the most frequent ones. */
function listOperators(nodes: readonly NodeProto[]): string {
  const counts = new Map<string, number>();
  for (const { opType } of nodes) counts.set(opType, (counts.get(opType) ?? 0) + 1);
  const all = [...counts].sort((a, b) => b[1] - a[1]);
  const attention = all.filter(([type]) => /attention/i.test(type));
  const shown = attention.length > 0 ? attention : all.slice(0, 5);
  return shown.map(([type, count]) => `${count} ${type}`).join(', ');
}
