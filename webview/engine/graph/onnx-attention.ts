/**
 * Attention of ONNX, from version 23 on. Soft caps are applied before masks, as ONNX Runtime does it, and Gemma 2.
 * https://onnx.ai/onnx/operators/onnx__Attention.html
 */
import type { HeadTensor, PastRule, ScoreStep } from './attention-site.ts';
import {
  added,
  cached,
  capped,
  headAxes,
  noHeads,
  noQuery,
  noSize,
  scaleOf,
  scoreAxes,
  sideOf,
  sizeAt,
  times,
  unrepeated,
  whole,
} from './fused-parts.ts';
import type { FoundAttention, GraphReading, Recogniser } from './graph-reading.ts';
import { TensorProto_DataType } from './onnx_pb.js';
import { floatOf, intOf, outputOf, type WiredNode, type WiredTensor } from './wired-graph.ts';

/** Positions of its inputs. */
const input = { query: 0, key: 1, value: 2, mask: 3, pastKey: 4, pastValue: 5, lengths: 6 } as const;

export const recogniseOnnxAttention: Recogniser = (node, reading) => {
  if (node.operator !== 'Attention') return undefined;
  const [query, key, value, mask] = node.inputs;
  const output = node.outputs[0];
  if (!query || !key || !value || !output) return noQuery;
  const rank = reading.facts(query).shape?.length;
  const heads = rank === 4 ? sizeAt(query, 1, reading) : intOf(node, 'q_num_heads', 0);
  const kvHeads = rank === 4 ? sizeAt(key, 1, reading) : intOf(node, 'kv_num_heads', heads ?? 0);
  if (!heads || !kvHeads) return noHeads;
  const width = sizeAt(query, -1, reading);
  const headDim = rank === 4 || width === undefined ? width : width / heads;
  const scale = scaleOf(node, headDim);
  if (headDim === undefined || scale === undefined) return noSize;

  const isCausal = intOf(node, 'is_causal', 0) === 1;
  const hasPast = node.inputs[input.pastKey] !== undefined;
  const softcap = floatOf(node, 'softcap', 0);
  const keysOf = (tensor: WiredTensor, present: number): ReturnType<typeof unrepeated> =>
    hasPast ? cached(outputOf(node, present)) : unrepeated({ tensor, axes: headAxes('key', rank, kvHeads) }, reading);
  const keys = keysOf(key, 1);
  const found: FoundAttention = {
    node,
    kind: isCausal ? 'causal' : 'self',
    heads,
    kvHeads: keys.heads ?? kvHeads,
    headDim,
    scale,
    ...(softcap > 0 && { softcap }),
    hasSink: false,
    program: {
      query: { tensor: query, axes: headAxes('query', rank, heads) },
      key: { tensor: keys.tensor, axes: keys.axes },
      steps: [times(scale), ...capped(softcap), ...maskSteps(mask, reading), ...visibleSteps(node, isCausal)],
      after: [],
    },
    value: plainHead(keysOf(value, 2)),
    output: { tensor: output, axes: headAxes('query', rank, heads) },
    result: output,
    querySource: [query],
    keySource: [key],
    cut: cutOf(node, mask, reading),
  };
  return found;
};

function plainHead({ tensor, axes }: HeadTensor<WiredTensor>): HeadTensor<WiredTensor> {
  return { tensor, axes };
}

function maskSteps(mask: WiredTensor | undefined, reading: GraphReading): ScoreStep<WiredTensor>[] {
  if (!mask || !isBoolean(mask, reading)) return added(mask, reading);
  const condition = sideOf(mask, reading.facts(mask).shape?.length);
  const other = { tensor: { data: [Number.NEGATIVE_INFINITY], dims: [] }, axes: [] };
  return [{ op: 'where', condition, keeps: true, other }];
}

function isBoolean(mask: WiredTensor, reading: GraphReading): boolean {
  return reading.facts(mask).type === TensorProto_DataType.BOOL;
}

/** Query i stands behind the past that the operator is given; without one, at key i. */
function visibleSteps(node: WiredNode, isCausal: boolean): ScoreStep<WiredTensor>[] {
  const tensor = node.inputs[input.lengths];
  if (!isCausal && !tensor) return [];
  const lengths = tensor && { tensor, axes: [whole('batch')] };
  const past: PastRule<WiredTensor> = {
    from: node.inputs[input.pastKey] ? 'end' : lengths ? 'lengths' : 'start',
    ...(lengths && { lengths }),
  };
  return [{ op: 'visible', isCausal, past }];
}

function cutOf(node: WiredNode, mask: WiredTensor | undefined, reading: GraphReading): FoundAttention['cut'] {
  if (mask && isBoolean(mask, reading))
    return { refused: 'Its mask only says yes or no, which no number can be added to.' };
  return { reader: node, position: input.mask, axes: scoreAxes, isWhole: true };
}
