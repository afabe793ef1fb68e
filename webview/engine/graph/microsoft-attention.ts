/**
 * Attention and QAttention of ONNX Runtime: the projections of queries, keys and values are inside, and no tensor of a run has them. So
 * what is read is the operator's input, and the weights, and a head's columns are multiplied when it is looked at.
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Attention and
 * #com.microsoft.QAttention
 */
import type { Axis, HeadTensor, ProjectionCodes } from './attention-site.ts';
import {
  added,
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
  whole,
} from './fused-parts.ts';
import type { FoundAttention, Recogniser } from './graph-reading.ts';
import { intOf, intsOf, type WiredNode, type WiredTensor } from './wired-graph.ts';

interface Positions {
  readonly mask: number;
  readonly past: number;
  readonly scores?: number;
  readonly codes?: Readonly<Record<keyof ProjectionCodes, number>>;
}

/** Positions of their inputs; data, weights and bias are the first of both. */
const positions: Record<string, Positions> = {
  'com.microsoft.Attention': { mask: 3, past: 4, scores: 5 },
  'com.microsoft.QAttention': {
    mask: 5,
    past: 8,
    codes: { inputScale: 3, weightScale: 4, inputZero: 6, weightZero: 7 },
  },
};
const [dataAt, weightsAt, biasAt] = [0, 1, 2];

export const recogniseMicrosoftAttention: Recogniser = (node, reading) => {
  const input = positions[node.operator];
  if (!input) return undefined;
  const at = (position: number | undefined) => (position === undefined ? undefined : node.inputs[position]);
  const [data, weights, output] = [at(dataAt), at(weightsAt), node.outputs[0]];
  const heads = intOf(node, 'num_heads', 0);
  if (!data || !weights || !output) return noQuery;
  if (heads <= 0) return noHeads;
  if (intOf(node, 'do_rotary', 0) === 1)
    return { refused: 'it rotates queries and keys inside, of which no tensor shows any' };
  const columns = sizeAt(weights, -1, reading);
  const sizes =
    intsOf(node, 'qkv_hidden_sizes') ?? (columns === undefined ? [] : [columns / 3, columns / 3, columns / 3]);
  if (sizes.length !== 3 || sizes.some((size) => size % heads !== 0)) return noSize;
  const headDim = sizes[0]! / heads;
  const mask = paddingMask(node, at(input.mask), reading);
  const codes = codesOf(node, input);
  if ('refused' in mask) return mask;

  const isCausal = intOf(node, 'unidirectional', 0) === 1;
  const projected = (index: 0 | 1 | 2): HeadTensor<WiredTensor> => {
    const bias = at(biasAt);
    const offset = sizes.slice(0, index).reduce((a, b) => a + b, 0);
    const axes: Axis[] = [whole('batch'), whole(index === 0 ? 'query' : 'key'), { parts: [] }];
    const projection = {
      weights,
      offset,
      headDim: sizes[index]! / heads,
      heads,
      ...(bias && { bias }),
      ...(codes && { codes }),
    };
    return { tensor: data, axes, projection };
  };
  // Keys and values that are kept are [2, batch, head, key, size].
  const present = node.outputs[1];
  const kept = (index: 0 | 1): HeadTensor<WiredTensor> =>
    present
      ? { tensor: present, axes: [pick(index), whole('batch'), whole('head'), whole('key'), whole('dim')] }
      : projected(index === 0 ? 1 : 2);
  if (at(input.past) && !present) return { refused: 'it has a past but does not return what becomes of it' };
  const scale = scaleOf(node, headDim)!;
  const found: FoundAttention = {
    node,
    kind: isCausal ? 'causal' : 'self',
    heads,
    kvHeads: heads,
    headDim,
    scale,
    hasSink: false,
    program: {
      query: projected(0),
      key: kept(0),
      steps: [
        times(scale),
        ...added(at(input.scores), reading),
        ...mask,
        ...(isCausal ? [{ op: 'visible' as const, isCausal, past: { from: 'end' as const } }] : []),
      ],
      after: [],
    },
    value: kept(1),
    output: { tensor: output, axes: headAxes('query', 3, heads) },
    result: output,
    querySource: [data],
    keySource: [data],
    cut:
      input.scores === undefined
        ? { refused: 'This operator takes no bias of its scores.' }
        : { reader: node, position: input.scores, axes: scoreAxes, isWhole: true },
  };
  return found;
};

function codesOf({ inputs }: WiredNode, { codes }: Positions): ProjectionCodes<WiredTensor> | undefined {
  if (!codes) return undefined;
  const [inputScale, weightScale] = [inputs[codes.inputScale], inputs[codes.weightScale]];
  const [inputZero, weightZero] = [inputs[codes.inputZero], inputs[codes.weightZero]];
  if (!inputScale || !weightScale) return undefined;
  return { inputScale, weightScale, ...(inputZero && { inputZero }), ...(weightZero && { weightZero }) };
}
