/**
 * Goes from the operand of a product to the tensor that it was made from by moving, reshaping, repeating and scaling
 * alone: smaller, and before what ONNX Runtime fuses with the product, so that reading it changes no number.
 */
import { type Atom, type AtomAxes, leavesOf } from './axis-atoms.ts';
import type { GraphReading } from './graph-reading.ts';
import type { Operand } from './matrix-product.ts';
import { TensorProto_DataType } from './onnx_pb.js';
import { type LateStep, viewBack } from './score-search.ts';
import { isSame } from './symbolic-size.ts';
import { intOf, type WiredNode, type WiredTensor } from './wired-graph.ts';

const { FLOAT, FLOAT16, BFLOAT16 } = TensorProto_DataType;

export interface OperandSource extends Operand {
  /** Scalings on the way: they scale the product as well. */
  readonly steps: readonly LateStep[];
}

const maxMoves = 24;

export function operandSource(operand: Operand, reading: GraphReading): OperandSource {
  let at: OperandSource = { ...operand, steps: [] };
  // A reshape alone gains nothing: it is undone only where something lies behind it.
  let best = at;
  for (let moves = 0; moves < maxMoves; moves++) {
    const node = at.tensor.producer;
    const next: OperandSource | undefined = node && moveBack(node, at, reading);
    if (!next) break;
    at = next;
    if (!['Reshape', 'Unsqueeze', 'Squeeze', 'Flatten'].includes(node!.operator)) best = at;
  }
  return best;
}

function moveBack(node: WiredNode, at: OperandSource, reading: GraphReading): OperandSource | undefined {
  const { operator } = node;
  if (['Reshape', 'Unsqueeze', 'Squeeze', 'Flatten', 'Transpose'].includes(operator)) {
    const place = viewBack(node, at.axes, reading);
    return place && { ...at, ...place };
  }
  const input = node.inputs[0];
  if (!input) return undefined;
  if (operator === 'Identity') return { ...at, tensor: input };
  if (operator === 'Cast') {
    const from = reading.facts(input).type;
    const isWider = intOf(node, 'to', 0) === FLOAT && (from === FLOAT16 || from === BFLOAT16);
    return isWider ? { ...at, tensor: input } : undefined;
  }
  if (operator === 'Expand') return expandBack(input, at, reading);
  if (operator === 'Mul' || operator === 'Div') return scaleBack(node, at, reading);
  return undefined;
}

function scaleBack(node: WiredNode, at: OperandSource, reading: GraphReading): OperandSource | undefined {
  const positions = node.operator === 'Div' ? [0] : [0, 1];
  for (const position of positions) {
    const [tensor, factor] = [node.inputs[position], node.inputs[1 - position]];
    if (!tensor || !factor || !reading.facts(factor).shape?.every((size) => size === 1)) continue;
    if (reading.facts(tensor).shape?.length !== at.axes.length) continue;
    const op = node.operator === 'Div' ? 'div' : 'mul';
    const step: LateStep = (late) => ({ op, operand: late({ tensor: factor, axes: [] }) });
    return { ...at, tensor, steps: [...at.steps, step] };
  }
  return undefined;
}

/** Heads that are repeated: head h of the whole is h / repeats of the input, where repeats are the faster axis. */
function expandBack(tensor: WiredTensor, at: OperandSource, reading: GraphReading): OperandSource | undefined {
  const from = reading.facts(tensor).shape;
  const to = reading.facts(at.tensor).shape;
  if (!from || !to || from.length !== at.axes.length || to.length !== at.axes.length) return undefined;
  const axes = at.axes.map((axis, i) => (from[i] === 1 && !isSame(from[i], to[i]) ? [] : axis));
  const repeated = at.axes.filter((axis, i) => axes[i] !== axis).flatMap((axis) => leavesOf(axis));
  const heads = axes.flatMap((axis) => leavesOf(axis)).filter(({ role }) => role === 'head');
  const isInner = repeated.every(({ role }) => role === 'head') && isFollowed(at.axes, heads, repeated);
  return isInner ? { ...at, tensor, axes } : undefined;
}

/** Whether every head that stays stands before every one that is a repeat. */
function isFollowed(axes: AtomAxes, heads: readonly Atom[], repeats: readonly Atom[]): boolean {
  const all = axes.flatMap((axis) => leavesOf(axis));
  return heads.every((head) => repeats.every((repeat) => all.indexOf(head) < all.indexOf(repeat)));
}
