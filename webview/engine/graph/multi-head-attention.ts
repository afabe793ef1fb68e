/**
 * MultiHeadAttention of ONNX Runtime: queries, keys and values projected before, apart or packed.
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MultiHeadAttention
 */
import type { HeadTensor } from './attention-site.ts';
import {
  added,
  cached,
  headAxes,
  noHeads,
  noQuery,
  noSize,
  paddingMask,
  pick,
  scaleOf,
  scoreAxes,
  sizeAt,
  times,
  unrepeated,
  whole,
} from './fused-parts.ts';
import type { FoundAttention, GraphReading, Recogniser } from './graph-reading.ts';
import { intOf, outputOf, type WiredNode, type WiredTensor } from './wired-graph.ts';

/** Positions of its inputs. */
const input = { query: 0, key: 1, value: 2, bias: 3, mask: 4, scores: 5, pastKey: 6, pastValue: 7 } as const;

export const recogniseMultiHead: Recogniser = (node, reading) => {
  if (node.operator !== 'com.microsoft.MultiHeadAttention') return undefined;
  const at = (position: number) => node.inputs[position];
  const [query, output] = [at(input.query), node.outputs[0]];
  const heads = intOf(node, 'num_heads', 0);
  if (!query || !output) return noQuery;
  if (heads <= 0) return noHeads;
  const rank = reading.facts(query).shape?.length;
  const width = rank === 5 ? undefined : sizeAt(query, -1, reading);
  const headDim = rank === 5 ? sizeAt(query, -1, reading) : width === undefined ? undefined : width / heads;
  const scale = scaleOf(node, headDim);
  if (headDim === undefined || scale === undefined) return noSize;
  const mask = paddingMask(node, at(input.mask), reading);
  if ('refused' in mask) return mask;

  const parts = { node, heads, headDim, reading };
  const { heads: kvHeads = heads, ...key } = keysOf(parts, { position: input.key, index: 1, present: 1 });
  const { heads: _, ...value } = keysOf(parts, { position: input.value, index: 2, present: 2 });
  const isCausal = intOf(node, 'unidirectional', 0) === 1;
  const valueDim = sizeAt(output, -1, reading);
  const found: FoundAttention = {
    node,
    kind: isCausal ? 'causal' : 'self',
    heads,
    kvHeads,
    headDim,
    scale,
    hasSink: false,
    program: {
      query: queryOf(query, rank, parts),
      key,
      steps: [
        times(scale),
        ...added(at(input.scores), reading),
        ...mask,
        ...(isCausal ? [{ op: 'visible' as const, isCausal, past: { from: 'end' as const } }] : []),
      ],
      after: [],
    },
    value,
    output: { tensor: output, axes: headAxes('query', 3, heads) },
    result: output,
    querySource: [query],
    keySource: [at(input.key) ?? query],
    cut: { reader: node, position: input.scores, axes: scoreAxes, isWhole: true },
  };
  return valueDim !== undefined && valueDim % heads !== 0 ? noSize : found;
};

interface Parts {
  readonly node: WiredNode;
  readonly heads: number;
  readonly headDim: number;
  readonly reading: GraphReading;
}

/** [batch, token, heads * size], or all three packed as [batch, token, head, 3, size]. */
function queryOf(tensor: WiredTensor, rank: number | undefined, parts: Parts): HeadTensor<WiredTensor> {
  const axes =
    rank === 5
      ? [whole('batch'), whole('query'), whole('head'), pick(0), whole('dim')]
      : headAxes('query', rank, parts.heads);
  return { tensor, axes, ...biasOf(parts, 0) };
}

/** `index` of three packed tensors, of which keys and values may be packed without the queries. */
function keysOf(
  parts: Parts,
  { position, index, present }: { position: number; index: 1 | 2; present: number },
): ReturnType<typeof unrepeated> {
  const { node, reading, heads } = parts;
  // With a past, what it has become is what the operator uses.
  if (node.inputs[input.pastKey]) return cached(outputOf(node, present));
  const [query, key] = [node.inputs[input.query]!, node.inputs[input.key]];
  const tensor = node.inputs[position] ?? key ?? query;
  const rank = reading.facts(tensor).shape?.length;
  if (rank === 5) {
    const packed = pick(tensor === query ? index : index - 1);
    return {
      tensor,
      axes: [whole('batch'), whole('key'), whole('head'), packed, whole('dim')],
      ...biasOf(parts, index),
    };
  }
  // Keys of four axes come from an earlier run, with their bias.
  const head = { tensor, axes: headAxes('key', rank, heads), ...(rank !== 4 && biasOf(parts, index)) };
  return unrepeated(head, reading);
}

/** One vector for queries, keys and values behind each other. */
function biasOf({ node, heads, headDim }: Parts, index: number): Pick<HeadTensor<WiredTensor>, 'bias'> {
  const tensor = node.inputs[input.bias];
  if (!tensor) return {};
  const length = heads * headDim;
  const known = index < 2 ? { length } : {};
  return {
    bias: {
      tensor,
      axes: [{ parts: [{ role: 'head', size: heads }, { role: 'dim' }], offset: index * length, ...known }],
    },
  };
}
