/** What the fused attention operators have in common: layouts of their inputs, and the steps that they do inside. */
import type { Axis, AxisRole, HeadTensor, Refusal, ScoreStep, SideTensor } from './attention-site.ts';
import { Atom, countOf, leavesOf, namedAxes } from './axis-atoms.ts';
import type { GraphReading } from './graph-reading.ts';
import { operandSource } from './operand-walk.ts';
import { divideSizes } from './symbolic-size.ts';
import { floatOf, type WiredNode, type WiredTensor } from './wired-graph.ts';

export const whole = (role: AxisRole): Axis => ({ parts: [{ role }] });
export const pick = (index: number): Axis => ({ parts: [{ role: 'pick', index }] });
const merged = (heads: number): Axis => ({ parts: [{ role: 'head', size: heads }, { role: 'dim' }] });

/** [batch, head, query, key]; of fewer axes, the last. */
export const scoreAxes: readonly Axis[] = [whole('batch'), whole('head'), whole('query'), whole('key')];

/** [batch, token, heads * size], or [batch, head, token, size]. */
export function headAxes(token: 'query' | 'key', rank: number | undefined, heads: number): readonly Axis[] {
  return rank === 4
    ? [whole('batch'), whole('head'), whole(token), whole('dim')]
    : [whole('batch'), whole(token), merged(heads)];
}

/** [batch, head, key, size], as operators keep past keys and values. */
export function cached(tensor: WiredTensor): HeadTensor<WiredTensor> {
  return { tensor, axes: [whole('batch'), whole('head'), whole('key'), whole('dim')] };
}

/**
 * Keys or values as they were before they were repeated for every query head that shares them: smaller, and it shows how
 * many there are.
 */
export function unrepeated(
  head: HeadTensor<WiredTensor>,
  reading: GraphReading,
): HeadTensor<WiredTensor> & { heads?: number } {
  const shape = reading.facts(head.tensor).shape;
  if (!shape || head.bias || shape.length !== head.axes.length) return head;
  const axes = head.axes.map(({ parts }, i) => {
    const known = parts.reduce((product, { size = 1 }) => product * size, 1);
    const rest = divideSizes(shape[i]!, known);
    return parts.map(({ role, size }) => new Atom(size ?? rest ?? shape[i]!, role));
  });
  const { tensor, axes: own, steps } = operandSource({ tensor: head.tensor, axes }, reading);
  const named = namedAxes(own, new Map());
  const heads = countOf(own.flatMap(leavesOf).filter(({ role }) => role === 'head'));
  const before = countOf(axes.flatMap(leavesOf).filter(({ role }) => role === 'head'));
  if (!named || steps.length > 0 || heads === undefined || heads === before) return head;
  return { tensor, axes: named, heads };
}

export function sideOf(tensor: WiredTensor, rank: number | undefined): SideTensor<WiredTensor> {
  return { tensor, axes: rank === undefined ? scoreAxes : scoreAxes.slice(-rank) };
}

export function times(factor: number): ScoreStep<WiredTensor> {
  return { op: 'mul', operand: { tensor: { data: [factor], dims: [] }, axes: [] } };
}

export function capped(softcap: number): ScoreStep<WiredTensor>[] {
  return softcap > 0 ? [times(1 / softcap), { op: 'tanh' }, times(softcap)] : [];
}

export function added(tensor: WiredTensor | undefined, reading: GraphReading): ScoreStep<WiredTensor>[] {
  return tensor ? [{ op: 'add', operand: sideOf(tensor, reading.facts(tensor).shape?.length) }] : [];
}

/** The attribute, or 1 / sqrt of the size of a head, where that is known. */
export function scaleOf(node: WiredNode, headDim: number | undefined): number | undefined {
  const scale = floatOf(node, 'scale', 0);
  return scale !== 0 ? scale : headDim === undefined ? undefined : 1 / Math.sqrt(headDim);
}

/** Size of an axis, from the front or, if negative, from the end; undefined where only a run tells. */
export function sizeAt(tensor: WiredTensor | undefined, axis: number, reading: GraphReading): number | undefined {
  const size = reading.facts(tensor).shape?.at(axis);
  return typeof size === 'number' ? size : undefined;
}

export const noHeads = { refused: 'it does not say how many heads it has' };
export const noSize = { refused: 'the size of its heads does not follow from the graph' };
export const noQuery = { refused: 'it lacks its queries or its result' };

/** Lengths [batch] or with starts behind them, or 1 for keys that count: [batch, key] or [batch, query, key]. */
export function paddingMask(
  node: WiredNode,
  mask: WiredTensor | undefined,
  reading: GraphReading,
): ScoreStep<WiredTensor>[] | Refusal {
  if (!mask) return [];
  const fill = floatOf(node, 'mask_filter_value', -10_000);
  const rank = reading.facts(mask).shape?.length;
  if (rank === 1) return [{ op: 'range', bounds: { tensor: mask, axes: [] }, fill }];
  const tokens = rank === 2 ? [whole('key')] : rank === 3 ? [whole('query'), whole('key')] : undefined;
  if (!tokens) return { refused: `its padding mask has ${rank ?? 'an unknown number of'} axes` };
  return [{ op: 'mask', mask: { tensor: mask, axes: [whole('batch'), ...tokens] }, fill }];
}
