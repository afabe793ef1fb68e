/** Follows the heads' output to the tensor that the output projection reads, where the heads lie side by side. */
import { type Atom, type AtomAxes, leavesOf, reshapeAxes } from './axis-atoms.ts';
import type { GraphReading } from './graph-reading.ts';
import type { Place } from './score-search.ts';
import { intOf, intsOf, type WiredNode, type WiredTensor } from './wired-graph.ts';

export interface HeadOutput extends Place {
  /** Atoms that were merged with the size of a head: those of the heads. Undefined where none were. */
  readonly heads: readonly Atom[] | undefined;
}

const maxMoves = 16;
const views = ['Reshape', 'Unsqueeze', 'Squeeze', 'Flatten'];
const unchanged = ['Cast', 'Identity', 'Dropout', 'QuantizeLinear', 'DequantizeLinear'];

export function headOutput(from: Place, dim: Atom, reading: GraphReading): HeadOutput {
  let at: Place | undefined = from;
  let last = from;
  for (let moves = 0; at && moves <= maxMoves; moves++) {
    if (isFloat(at.tensor) && at.axes.every(isReadable)) last = at;
    const heads = mergedHeads(at.axes, dim);
    if (heads && isFloat(at.tensor)) return { ...last, heads };
    at = moveOn(at, reading);
  }
  return { ...last, heads: undefined };
}

/** An axis of which two parts are known only to a run cannot be told apart. */
function isReadable(axis: readonly Atom[]): boolean {
  const open = leavesOf(axis).filter(({ size }) => typeof size !== 'number');
  return open.length <= 1 || open.every(({ role }) => role === undefined);
}

/** Behind QuantizeLinear numbers are codes. */
function isFloat({ producer }: WiredTensor): boolean {
  const operator = producer?.operator ?? '';
  return !['QuantizeLinear', 'MatMulInteger', 'QLinearMatMul', 'DynamicQuantizeLinear'].includes(operator);
}

function mergedHeads(axes: AtomAxes, dim: Atom): Atom[] | undefined {
  const last = axes.map(leavesOf).find((axis) => dim.leaves().some((atom) => axis.includes(atom)));
  const heads = last?.filter(({ size, role }) => size !== 1 && role !== 'dim');
  return heads && heads.length > 0 ? heads : undefined;
}

/** Over the one reader that uses the numbers. */
function moveOn({ tensor, axes }: Place, reading: GraphReading): Place | undefined {
  const readers = tensor.readers.filter(({ node }) => node.operator !== 'Shape');
  const [reader, ...others] = readers;
  if (!reader || others.length > 0 || reader.position > 1) return undefined;
  const { node } = reader;
  const output = node.outputs[0];
  const to = output && reading.facts(output).shape;
  if (!output) return undefined;
  if (unchanged.includes(node.operator) && reader.position === 0) return { tensor: output, axes };
  if ((node.operator === 'Mul' || node.operator === 'Div') && isScaled(node, reader.position, reading))
    return { tensor: output, axes };
  if (reader.position !== 0) return undefined;
  if (node.operator === 'Transpose') {
    const order = intsOf(node, 'perm') ?? axes.map((_, i) => axes.length - 1 - i);
    return order.length === axes.length ? { tensor: output, axes: order.map((axis) => axes[axis] ?? []) } : undefined;
  }
  if (!views.includes(node.operator)) return undefined;
  const reshaped = (to && reshapeAxes(axes, to)) ?? mergedLast(axes, to?.length);
  return reshaped && { tensor: output, axes: reshaped };
}

function isScaled(node: WiredNode, position: number, reading: GraphReading): boolean {
  const other = reading.facts(node.inputs[1 - position]);
  return (
    other.shape?.every((size) => size === 1) === true &&
    (node.operator === 'Mul' || intOf(node, 'axis', position) === 0)
  );
}

/** Where sizes do not tell: one axis fewer means that the last two became one. */
function mergedLast(axes: AtomAxes, rank: number | undefined): AtomAxes | undefined {
  if (rank !== axes.length - 1 || rank < 1) return undefined;
  return [...axes.slice(0, -2), axes.slice(-2).flat()];
}
