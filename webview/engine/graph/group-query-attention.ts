/**
 * GroupQueryAttention of ONNX Runtime: queries rotated inside, keys and values from its cache.
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GroupQueryAttention
 */
import type { Axis, HeadTensor, PastRule, RotaryStep, SideTensor } from './attention-site.ts';
import {
  added,
  cached,
  capped,
  noHeads,
  noQuery,
  noSize,
  scaleOf,
  scoreAxes,
  sizeAt,
  times,
  whole,
} from './fused-parts.ts';
import type { FoundAttention, GraphReading, Recogniser } from './graph-reading.ts';
import { floatOf, intOf, outputOf, type WiredNode, type WiredTensor } from './wired-graph.ts';

/** Positions of its inputs. */
const input = {
  query: 0,
  key: 1,
  value: 2,
  pastKey: 3,
  lengths: 5,
  cos: 7,
  sin: 8,
  positions: 9,
  bias: 10,
  sink: 11,
} as const;

export const recogniseGroupQuery: Recogniser = (node, reading) => {
  if (node.operator !== 'com.microsoft.GroupQueryAttention') return undefined;
  const at = (position: number) => node.inputs[position];
  const [query, output] = [at(input.query), node.outputs[0]];
  const [heads, kvHeads] = [intOf(node, 'num_heads', 0), intOf(node, 'kv_num_heads', 0)];
  if (!query || !output) return noQuery;
  if (heads <= 0 || kvHeads <= 0 || heads % kvHeads !== 0) return noHeads;
  if (!at(input.key) !== !at(input.value)) return { refused: 'it has only one of key and value' };
  const unknown = node.inputs.slice(input.sink + 1).find(Boolean);
  if (unknown) return { refused: `its input ${unknown.name} is not known here` };

  const headDim = headDimOf(node, heads, kvHeads, reading);
  const scale = scaleOf(node, headDim);
  if (headDim === undefined || scale === undefined) return noSize;
  const past = pastOf(at(input.lengths));
  const rotary = intOf(node, 'do_rotary', 0) === 1 ? rotaryOf(node, past, reading) : undefined;
  if (rotary && 'refused' in rotary) return rotary;
  const softcap = floatOf(node, 'softcap', 0);
  const window = intOf(node, 'local_window_size', -1);
  const sink = sinkOf(node);
  const queries = queryAxes({ isPacked: !at(input.key), heads, headDim });
  const found: FoundAttention = {
    node,
    kind: 'causal',
    heads,
    kvHeads,
    headDim,
    scale,
    ...(softcap > 0 && { softcap }),
    ...(window > 0 && { window }),
    hasSink: sink !== undefined,
    program: {
      query: { tensor: query, axes: queries, ...(rotary && { rotary }) },
      key: cached(outputOf(node, 1)),
      steps: [
        times(scale),
        ...capped(softcap),
        ...added(at(input.bias), reading),
        { op: 'visible', isCausal: true, past, ...(window > 0 && { window }) },
      ],
      after: [],
      ...(sink && { sink }),
    },
    value: cached(outputOf(node, 2)),
    output: { tensor: output, axes: queryAxes({ isPacked: false, heads, headDim }) },
    result: output,
    querySource: [query],
    keySource: [at(input.key) ?? query],
    cut: { reader: node, position: input.bias, axes: scoreAxes, isWhole: true },
  };
  return found;
};

/** Packed, keys and values lie behind the queries. */
function queryAxes({ isPacked, heads, headDim }: { isPacked: boolean; heads: number; headDim: number }): Axis[] {
  const parts = [
    { role: 'head' as const, size: heads },
    { role: 'dim' as const, size: headDim },
  ];
  return [whole('batch'), whole('query'), { parts, ...(isPacked && { offset: 0, length: heads * headDim }) }];
}

function headDimOf(node: WiredNode, heads: number, kvHeads: number, reading: GraphReading): number | undefined {
  const [query, key, , past] = node.inputs;
  const cachedSize = sizeAt(past, 3, reading);
  if (cachedSize !== undefined) return cachedSize;
  const width = sizeAt(query, -1, reading);
  return width === undefined ? undefined : width / (key ? heads : heads + 2 * kvHeads);
}

/** The operator is told each entry's keys, less one. */
function pastOf(lengths: WiredTensor | undefined): PastRule<WiredTensor> {
  return lengths ? { from: 'cache', lengths: { tensor: lengths, axes: [whole('batch')] }, added: 1 } : { from: 'end' };
}

function rotaryOf(
  node: WiredNode,
  past: PastRule<WiredTensor>,
  reading: GraphReading,
): RotaryStep<WiredTensor> | { refused: string } {
  const [cos, sin, positions] = [node.inputs[input.cos], node.inputs[input.sin], node.inputs[input.positions]];
  const half = sizeAt(cos, -1, reading);
  if (!cos || !sin || half === undefined)
    return { refused: 'it rotates queries by tables that are not there, or of unknown size' };
  const axes: HeadTensor['axes'] = [whole('batch'), whole('query')];
  const given = positions && reading.facts(positions).shape?.length === 2 ? { tensor: positions, axes } : undefined;
  const isInterleaved = intOf(node, 'rotary_interleaved', 0) === 1;
  return { cos, sin, half, isInterleaved, past, ...(given && { positions: given }) };
}

/** Smooth softmax is a sink of 0 for every head. */
function sinkOf(node: WiredNode): SideTensor<WiredTensor> | undefined {
  const tensor = node.inputs[input.sink];
  if (tensor) return { tensor, axes: [whole('head')] };
  return intOf(node, 'smooth_softmax', 0) === 1 ? { tensor: { data: [0], dims: [] }, axes: [] } : undefined;
}
