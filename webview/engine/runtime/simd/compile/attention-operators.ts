/**
 * Attention operators with a key/value cache.
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md, https://onnx.ai/onnx/operators/onnx__Attention.html
 */
import { meaningOf } from './attention-mask.ts';
import { attend, byHead, pastOf, presentOf } from './attention-step.ts';
import type { Compilation } from './compilation.ts';
import type { GraphNode } from './graph-node.ts';
import type { Known } from './known.ts';
import { type Operator, partOf } from './layout-operators.ts';
import { addVector, linear } from './linear-operators.ts';
import { damaged } from './refusal.ts';
import { constantTables, newPositions, rotate } from './rotary.ts';
import type { Cache, Hidden, Size, Value } from './value.ts';
import { rowAxes } from './view.ts';
import { matrixOf } from './weights.ts';

function knownInput(node: GraphNode, position: number, what: string): Known | undefined {
  const value = node.input(position);
  if (!value || value.kind === 'known') return value;
  throw node.refused(`its ${what} depends on the text`);
}

/** @throws AppError when the input is there and something else. */
function expect(
  node: GraphNode,
  position: number,
  what: string,
  expected: (size: Size) => readonly number[],
  compilation: Compilation,
): void {
  const known = knownInput(node, position, what);
  if (known && !compilation.isAlways(known, expected))
    throw node.refused(`its ${what} is not that of a text without padding`);
}

function scaleOf(node: GraphNode, headDim: number): number {
  return node.float('scale', 0) || 1 / Math.sqrt(headDim);
}

/** Rows of Q, K and V side by side. @throws AppError when they are not as wide as the three. */
function unpacked(packed: Hidden, widths: readonly number[], compilation: Compilation, label: string): Hidden[] {
  const settled = compilation.builder.settle(packed, label);
  const needed = widths.reduce((a, b) => a + b, 0);
  if (settled.slice.width !== needed)
    throw damaged(`${label} has rows of ${settled.slice.width} numbers for queries, keys and values of ${needed}`);
  const row: Hidden = { ...settled, axes: rowAxes(settled.slice.width) };
  let start = 0;
  return widths.map((width) => {
    const part = partOf(row, 2, start, width);
    start += width;
    return part;
  });
}

const groupQuery: Operator = (node, compilation) => {
  const { label } = node;
  const [heads, kvHeads] = [node.int('num_heads', 0), node.int('kv_num_heads', 0)];
  const [pastKey, pastValue] = [pastOf(node.input(3), label), pastOf(node.input(4), label)];
  if (kvHeads !== pastKey.kvHeads) throw damaged(`${label} has ${kvHeads} key heads, its cache ${pastKey.kvHeads}`);
  const { headDim } = pastKey;
  if (node.inputs.slice(12).some(Boolean)) throw node.refused('a quantised cache is not known');
  if (node.hasOutput(3)) throw node.refused('its scores are read');
  expect(node, 5, 'length (seqlens_k)', ({ tokens, past }) => [past + tokens - 1], compilation);
  expect(node, 6, 'total length', ({ tokens, past }) => [past + tokens], compilation);
  expect(node, 9, 'positions', newPositions, compilation);
  const parts = node.input(1)
    ? [node.hidden(0), node.hidden(1), node.hidden(2)]
    : unpacked(node.hidden(0), [heads * headDim, kvHeads * headDim, kvHeads * headDim], compilation, label);
  let [query, key] = parts as [Hidden, Hidden, Hidden];
  if (node.int('do_rotary', 0)) {
    const tables = constantTables(compilation, node.required(7), node.required(8), label);
    const turn = (value: Hidden, count: number) =>
      rotate(
        compilation,
        value,
        { ...tables, heads: count, headDim, isInterleaved: node.int('rotary_interleaved', 0) === 1 },
        label,
      );
    [query, key] = [turn(query, heads), turn(key, kvHeads)];
  }
  const local = node.int('local_window_size', -1);
  const { window = local > 0 ? local : undefined } = meaningOf(compilation, knownInput(node, 10, 'bias'), true, label);
  if (node.input(10) && local > 0 && window !== local) throw node.refused('it has two windows');
  const value = parts[2]!;
  const result = attend(compilation, {
    ...{ query, key, value, pastKey, pastValue, heads, scale: scaleOf(node, headDim), window, label },
    softcap: node.float('softcap', 0) || undefined,
    sinks: sinksOf(node, heads, compilation),
  });
  return [result, presentOf(pastKey, key), presentOf(pastValue, value)];
};

function sinksOf(node: GraphNode, heads: number, compilation: Compilation): Float32Array | undefined {
  const sink = node.input(11);
  if (sink) return compilation.vector(sink, heads, node.label);
  if (node.int('smooth_softmax', 0) !== 1) return undefined;
  return compilation.derived(`zeros ${heads}`, () => new Float32Array(heads));
}

const multiHead: Operator = (node, compilation) => {
  const { label } = node;
  const heads = node.int('num_heads', 0);
  const [pastKey, pastValue] = [pastOf(node.input(6), label), pastOf(node.input(7), label)];
  if (!node.input(1) || !node.input(2)) throw node.refused('packed keys and values are not known');
  if (node.inputs.slice(8).some(Boolean) || node.hasOutput(3))
    throw node.refused('inputs and outputs beyond the cache are not known');
  if (heads !== pastKey.kvHeads) throw damaged(`${label} has ${heads} heads, its cache ${pastKey.kvHeads}`);
  const width = heads * pastKey.headDim;
  const parts = [0, 1, 2].map((position) => node.hidden(position));
  const bias = node.input(3);
  const [query, key, value] = bias
    ? parts.map((part, i) => addVector(compilation, part, biasPart(compilation, bias, i, width, label), label))
    : parts;
  expect(node, 4, 'padding mask', ({ tokens, past }) => new Array<number>(tokens + past).fill(1), compilation);
  const { window } = meaningOf(compilation, knownInput(node, 5, 'bias'), node.int('unidirectional', 0) === 1, label);
  const result = attend(compilation, {
    ...{ query: query!, key: key!, value: value!, pastKey, pastValue, heads, window, label },
    scale: scaleOf(node, pastKey.headDim),
  });
  return [result, presentOf(pastKey, key!), presentOf(pastValue, value!)];
};

/** A third of a vector, as a constant of its own. */
function biasPart(compilation: Compilation, bias: Value, index: number, width: number, label: string): Known {
  const all = compilation.vector(bias, 3 * width, label);
  const data = Float64Array.from(all.subarray(index * width, (index + 1) * width));
  const key = bias.kind === 'known' ? `bias ${bias.id} ${index}` : undefined;
  return compilation.known({ isConstant: true, compute: () => ({ kind: 'float', dims: [width], data }) }, key);
}

/** GPT-2's: the projection inside, keys and values in one cache. */
const packedAttention: Operator = (node, compilation) => {
  const { label } = node;
  const heads = node.int('num_heads', 0);
  const past = pastOf(node.input(4), label);
  if (past.axes[0] !== 'pair') throw node.refused('its cache is not one of keys and values');
  if (heads !== past.kvHeads) throw damaged(`${label} has ${heads} heads, its cache ${past.kvHeads}`);
  if (node.int('do_rotary', 0) || node.ints('qkv_hidden_sizes')?.length || node.input(6))
    throw node.refused('rotary, other sizes of Q, K and V, and a shared cache are not known');
  const weight = matrixOf(node.required(1), false, label);
  const width = heads * past.headDim;
  if (weight.rows !== 3 * width)
    throw damaged(`${label} has weights for ${weight.rows} numbers, its heads have ${3 * width}`);
  const packed = addVector(compilation, linear(compilation, node.hidden(0), weight, label), node.input(2), label);
  const [query, key, value] = unpacked(packed, [width, width, width], compilation, label);
  expect(node, 3, 'mask', ({ tokens, past: before }) => new Array<number>(tokens + before).fill(1), compilation);
  const { window } = meaningOf(compilation, knownInput(node, 5, 'bias'), node.int('unidirectional', 0) === 1, label);
  const result = attend(compilation, {
    ...{ query: query!, key: key!, value: value!, heads, window, label },
    ...{ pastKey: past, pastValue: { ...past, input: past.input + 0.5 }, scale: scaleOf(node, past.headDim) },
  });
  return [result, presentOf(past, packed)];
};

/** Keys or values with their past: the past is an input of the operator, or the graph has joined them before. */
function joined(
  node: GraphNode,
  position: number,
  past: Value | undefined,
  heads: number,
): { past: Cache; added: Hidden; repeat: number } {
  const value = node.required(position);
  if (value.kind === 'cache' && value.added && !past) {
    const last = value.axes.slice(-2).join();
    if (last !== 'total,dim' || value.scale !== 1) throw node.refused('its cache is not [batch, head, token, dim]');
    return { past: value, added: value.added, repeat: value.repeat };
  }
  const cache = pastOf(past, node.label);
  if (heads !== cache.kvHeads) throw damaged(`${node.label} has ${heads} key heads, its cache ${cache.kvHeads}`);
  return { past: cache, added: node.hidden(position), repeat: 1 };
}

const attention: Operator = (node, compilation) => {
  const { label } = node;
  const query = node.hidden(0);
  const is3d = query.axes.length === 3;
  if (node.input(6) || node.hasOutput(3))
    throw node.refused('lengths as an input and scores as an output are not known');
  const kvHeads = is3d ? node.int('kv_num_heads', 0) : headsAt(node, 1);
  const key = joined(node, 1, node.input(4), kvHeads);
  const value = joined(node, 2, node.input(5), kvHeads);
  const heads = is3d ? node.int('q_num_heads', 0) : (query.axes[1]?.size ?? 0);
  if (key.repeat > 1 && key.repeat * key.past.kvHeads !== heads)
    throw damaged(`${label} repeats its keys for other heads`);
  // Where the past is joined before, the operator would begin to hide at the first key of all.
  const isCausal = node.int('is_causal', 0) === 1 && node.input(4) !== undefined;
  const mask = knownInput(node, 3, 'mask');
  const { window } = meaningOf(compilation, mask, isCausal, label);
  const { headDim } = key.past;
  const result = attend(compilation, {
    ...{ query, key: key.added, value: value.added, pastKey: key.past, pastValue: value.past, heads, window, label },
    ...{ scale: scaleOf(node, headDim), softcap: node.float('softcap', 0) || undefined },
  });
  const shaped = is3d ? result : byHead(result, headDim);
  return [shaped, presentOf(key.past, key.added), presentOf(value.past, value.added)];
};

function headsAt(node: GraphNode, position: number): number {
  const value = node.required(position);
  if (value.kind === 'hidden') return value.axes[1]?.size ?? 0;
  return value.kind === 'cache' ? value.kvHeads : 0;
}

export const attentionOperators: Record<string, Operator> = {
  'com.microsoft.GroupQueryAttention': groupQuery,
  'com.microsoft.MultiHeadAttention': multiHead,
  'com.microsoft.Attention': packedAttention,
  Attention: attention,
};
