/**
 * Goes back from weights to the product of queries and keys that they come from, over whatever the graph does to scores
 * on the way, and notes each change. Where two paths are open (both terms of an addition), both are tried.
 */
import type { AxisRole, ConstantSide, ScoreStep, SideTensor } from './attention-site.ts';
import { Atom, type AtomAxes, leavesOf, reshapeAxes } from './axis-atoms.ts';
import type { GraphReading } from './graph-reading.ts';
import { operandsOf, productForm } from './matrix-product.ts';
import { TensorProto_DataType } from './onnx_pb.js';
import { smallConstant } from './small-constants.ts';
import { symbol } from './symbolic-size.ts';
import { attributeOf, intOf, intsOf, type WiredNode, type WiredTensor } from './wired-graph.ts';

const { FLOAT16, BFLOAT16, FLOAT, DOUBLE } = TensorProto_DataType;

/** Scores or weights at one place of the graph. */
export interface Place {
  readonly tensor: WiredTensor;
  readonly axes: AtomAxes;
}

/** A tensor beside scores of these axes, which get their names at the end. */
export interface LateSide {
  readonly tensor: WiredTensor | ConstantSide;
  readonly axes: AtomAxes;
}
export type LateStep = (late: (side: LateSide) => SideTensor<WiredTensor>) => ScoreStep<WiredTensor>;

export interface ScorePath {
  readonly product: WiredNode;
  /** The result of the product. */
  readonly scores: Place;
  /** What softmax gets, and where from. */
  readonly softmax: { readonly node: WiredNode; readonly position: number; readonly axes: AtomAxes };
  /** Weights as softmax, or what follows it, leaves them. */
  readonly before: readonly LateStep[];
  readonly after: readonly LateStep[];
  readonly sink: LateSide | undefined;
  /** Scores before a sink joins them: where they can be biased. */
  readonly cut: { readonly node: WiredNode; readonly position: number; readonly axes: AtomAxes };
}

interface Move {
  readonly to: Place;
  readonly step?: LateStep;
  readonly softmax?: ScorePath['softmax'];
  readonly sink?: LateSide;
  /** A column of weights is dropped here. */
  readonly dropsSink?: boolean;
  readonly reader: { readonly node: WiredNode; readonly position: number };
}

interface Trail {
  readonly moves: readonly Move[];
  readonly softmax: ScorePath['softmax'] | undefined;
  readonly hasDropped: boolean;
}

/** Operators between a product and its weights; a real graph has some ten. */
const maxMoves = 40;
/** Places that one search looks at. */
const maxPlaces = 400;

export interface ScoreSearch {
  readonly from: Place;
  /** Between softmax and `from`: the only nodes that may be passed there. */
  readonly allowed: ReadonlySet<WiredNode>;
  readonly softmax: WiredNode;
  readonly reading: GraphReading;
}

export function findScores({ from, allowed, softmax, reading }: ScoreSearch): ScorePath | undefined {
  const seen = new Set<WiredTensor>();
  const visit = (place: Place, trail: Trail): ScorePath | undefined => {
    if (seen.size > maxPlaces || trail.moves.length > maxMoves) return undefined;
    const node = place.tensor.producer;
    if (!node || seen.has(place.tensor)) return undefined;
    seen.add(place.tensor);
    if (trail.softmax) {
      if (isScoreProduct(node, place, reading)) return pathOf(node, place, trail);
    } else if (node !== softmax && !allowed.has(node)) return undefined;
    for (const move of movesFrom(node, place, trail, reading)) {
      if (move.softmax && node !== softmax && !allowed.has(node)) continue;
      const found = visit(move.to, {
        moves: [...trail.moves, move],
        softmax: move.softmax ?? trail.softmax,
        hasDropped: trail.hasDropped || move.dropsSink === true,
      });
      if (found) return found;
    }
    return undefined;
  };
  return visit(from, { moves: [], softmax: undefined, hasDropped: false });
}

/** Keys depend on data; queries may be learned. */
function isScoreProduct(node: WiredNode, { axes }: Place, reading: GraphReading): boolean {
  const operands = operandsOf(node, axes, reading);
  const key = operands && [operands.left, operands.right].find((operand) => hasRole(operand.axes, 'key'));
  return reading.isActivation(key?.tensor);
}

export function hasRole(axes: AtomAxes, role: AxisRole): boolean {
  return axes.some((axis) => leavesOf(axis).some((atom) => atom.role === role));
}

function pathOf(product: WiredNode, scores: Place, { moves, softmax, hasDropped }: Trail): ScorePath | undefined {
  const at = moves.findIndex((move) => move.softmax);
  const [after, before] = [moves.slice(0, at).reverse(), moves.slice(at).reverse()];
  const sinkMove = before.find(({ sink }) => sink);
  if (!softmax || hasDropped !== Boolean(sinkMove)) return undefined;
  const stepsOf = (list: readonly Move[]) => list.flatMap(({ step }) => (step ? [step] : []));
  const cut = sinkMove
    ? { ...sinkMove.reader, axes: sinkMove.to.axes }
    : { node: softmax.node, position: softmax.position, axes: softmax.axes };
  return { product, scores, softmax, before: stepsOf(before), after: stepsOf(after), sink: sinkMove?.sink, cut };
}

function movesFrom(node: WiredNode, place: Place, trail: Trail, reading: GraphReading): Move[] {
  const { axes } = place;
  const { operator } = node;
  const same = (position: number, step?: LateStep): Move[] => {
    const tensor = node.inputs[position];
    const rank = reading.facts(tensor).shape?.length ?? axes.length;
    if (!tensor || rank > axes.length) return [];
    const to = { tensor, axes: axes.slice(axes.length - rank) };
    return [{ to, reader: { node, position }, ...(step && { step }) }];
  };
  if (operator === 'Softmax' || operator === 'com.microsoft.BiasSoftmax')
    return softmaxMoves(node, place, trail, reading);
  if (operator === 'Identity' || (operator === 'Dropout' && place.tensor.outputIndex === 0)) return same(0);
  if (operator === 'Cast') return castMoves(node, same);
  if (operator === 'DequantizeLinear') return quantisedMoves(node, place, reading);
  if (operator === 'QuantizeLinear' && !trail.softmax) return same(0);
  if (operator === 'DynamicQuantizeLinear' && !trail.softmax && place.tensor.outputIndex === 0) return same(0);
  if (operator === 'Tanh' || operator === 'Neg') {
    const op = operator === 'Tanh' ? 'tanh' : 'neg';
    return same(0, () => ({ op }));
  }
  if (operator === 'Clip') {
    const [min, max] = [boundOf(node, 'min', 1, -Infinity), boundOf(node, 'max', 2, Infinity)];
    return min === undefined || max === undefined ? [] : same(0, () => ({ op: 'clip', min, max }));
  }
  if (operator in binaries) return binaryMoves(node, place, trail, reading, same);
  if (operator === 'Where') return whereMoves(node, place, same);
  if (['Reshape', 'Unsqueeze', 'Squeeze', 'Flatten', 'Transpose'].includes(operator)) {
    const to = viewBack(node, axes, reading);
    return to ? [{ to, reader: { node, position: 0 } }] : [];
  }
  if (operator === 'Concat' && trail.softmax && trail.hasDropped) return sinkMoves(node, place, reading);
  if (['Slice', 'Split', 'Gather'].includes(operator) && !trail.softmax) return dropMoves(node, place, reading);
  return [];
}

const elementwise =
  /^(com\.microsoft\.)?(QLinear)?(Add|Sub|Mul|Div|Where|Tanh|Clip|Min|Max|Cast|Reshape|Transpose|Unsqueeze|Squeeze|Identity|Concat|Slice|Gather|GatherElements|ScatterND|Pad|Relu|Abs|Neg|Pow|Sqrt|Erf|Sigmoid|QuantizeLinear|DequantizeLinear|Round|Floor|Conv|Expand|Softplus)$/;

/** The product of two activations that weights come from in whatever way, if any: they are attention then. */
export function looseProduct(softmax: WiredNode, reading: GraphReading): WiredNode | undefined {
  const seen = new Set<WiredTensor>();
  const pending = softmax.inputs.slice(0, 1);
  for (let tensor = pending.shift(); tensor && seen.size < maxPlaces; tensor = pending.shift()) {
    const node = tensor.producer;
    if (!node || seen.has(tensor) || !reading.isActivation(tensor)) continue;
    seen.add(tensor);
    const form = productForm(node);
    const operands = form && [node.inputs[form.left], node.inputs[form.right]];
    if (operands?.every((operand) => reading.isActivation(operand))) return node;
    if (elementwise.test(node.operator)) pending.push(...node.inputs);
  }
  return undefined;
}

/** Behind an operator that only moves or reshapes; undefined where sizes do not tell how. */
export function viewBack(node: WiredNode, axes: AtomAxes, reading: GraphReading): Place | undefined {
  const tensor = node.inputs[0];
  const shape = reading.facts(tensor).shape;
  if (!tensor) return undefined;
  if (node.operator === 'Transpose') {
    const order = intsOf(node, 'perm') ?? axes.map((_, i) => axes.length - 1 - i);
    const moved: (readonly Atom[])[] = [];
    for (const [i, axis] of order.entries()) moved[axis] = axes[i] ?? [];
    return order.length === axes.length && moved.length === axes.length ? { tensor, axes: moved } : undefined;
  }
  const reshaped = shape && reshapeAxes(axes, shape);
  return reshaped && { tensor, axes: reshaped };
}

function softmaxMoves(node: WiredNode, { axes }: Place, trail: Trail, reading: GraphReading): Move[] {
  const tensor = node.inputs[0];
  if (!tensor || trail.softmax || !isOverLastAxis(node, axes.length, reading) || !isOverKeys(axes)) return [];
  const softmax = { node, position: 0, axes };
  const bias = node.operator === 'Softmax' ? undefined : node.inputs[1];
  const isInner = intOf(node, 'is_inner_broadcast', 1) === 1;
  if (node.operator !== 'Softmax' && (!bias || !isInner)) return [];
  const step = bias && binaryStep('add', { tensor: bias, axes }, false);
  return [{ to: { tensor, axes }, softmax, reader: { node, position: 0 }, ...(step && { step }) }];
}

/** Linear attention has softmax over features. */
function isOverKeys(axes: AtomAxes): boolean {
  return leavesOf(axes.at(-1) ?? []).every(({ role, size }) => role === 'key' || size === 1);
}

/** Before version 13, softmax is over all axes from `axis` on. */
export function isOverLastAxis(node: WiredNode, rank: number, reading: GraphReading): boolean {
  const isOld = node.operator === 'Softmax' ? reading.graph.opset('') < 13 : true;
  const axis = intOf(node, 'axis', isOld ? 1 : -1);
  return axis === -1 || axis === rank - 1;
}

function castMoves(node: WiredNode, same: (position: number, step?: LateStep) => Move[]): Move[] {
  const to = intOf(node, 'to', 0);
  if (to === FLOAT || to === DOUBLE) return same(0);
  if (to !== FLOAT16 && to !== BFLOAT16) return [];
  const type = to === FLOAT16 ? 'float16' : 'bfloat16';
  return same(0, () => ({ op: 'cast', type }));
}

const binaries: Record<string, 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max'> = {
  Add: 'add',
  Sub: 'sub',
  Mul: 'mul',
  Div: 'div',
  Min: 'min',
  Max: 'max',
};

function binaryMoves(
  node: WiredNode,
  { axes }: Place,
  trail: Trail,
  reading: GraphReading,
  same: (position: number, step?: LateStep) => Move[],
): Move[] {
  if (node.inputs.length !== 2) return [];
  if (!trail.softmax) {
    const exponents = decomposedSoftmax(node, axes.length, reading);
    if (exponents && isOverKeys(axes)) {
      const softmax = { node: exponents.node, position: exponents.position, axes };
      return [{ to: { tensor: exponents.tensor, axes }, softmax, reader: exponents }];
    }
  }
  return [0, 1].flatMap((position) => {
    const [score, other] = [node.inputs[position], node.inputs[1 - position]];
    if (!score || !other || smallConstant(score, 1) || !reading.isActivation(score)) return [];
    // Softmax does not see what is taken from a whole row.
    if (node.operator === 'Sub' && position === 0 && isRowMaximum(other, score)) return same(0);
    const side = { tensor: other, axes };
    return same(position, binaryStep(binaries[node.operator]!, side, position === 1));
  });
}

function binaryStep(op: 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max', side: LateSide, isReversed: boolean): LateStep {
  const isOrdered = isReversed && (op === 'sub' || op === 'div');
  return (late) => ({ op, operand: late(side), ...(isOrdered && { isReversed }) });
}

function isRowMaximum(tensor: WiredTensor, of: WiredTensor): boolean {
  const node = tensor.producer;
  return node?.operator === 'ReduceMax' && node.inputs[0] === of && intOf(node, 'keepdims', 1) === 1;
}

/** exp(x) / sum(exp(x)): x, with the operator that reads it. */
function decomposedSoftmax(node: WiredNode, rank: number, reading: GraphReading) {
  const [above, below] = node.inputs;
  const sum = below?.producer;
  const exp = above?.producer;
  if (node.operator !== 'Div' || sum?.operator !== 'ReduceSum' || sum.inputs[0] !== above || exp?.operator !== 'Exp')
    return undefined;
  const axes = intsOf(sum, 'axes') ?? reading.facts(sum.inputs[1]).values;
  const tensor = exp.inputs[0];
  const isLast = axes?.length === 1 && (axes[0] === -1 || axes[0] === rank - 1);
  return tensor && isLast ? { node: exp, position: 0, tensor } : undefined;
}

function whereMoves(node: WiredNode, { axes }: Place, same: (position: number, step?: LateStep) => Move[]): Move[] {
  const condition = node.inputs[0];
  if (!condition) return [];
  return [2, 1].flatMap((position) => {
    const [score, other] = [node.inputs[position], node.inputs[3 - position]];
    if (!score || !other || smallConstant(score, 1)) return [];
    const keeps = position === 1;
    const isGuard = condition.producer?.operator === 'IsNaN' && condition.producer.inputs[0] === score && !keeps;
    if (isGuard) return same(position, (late) => ({ op: 'guard', other: late({ tensor: other, axes }) }));
    return same(position, (late) => ({
      op: 'where',
      condition: late({ tensor: condition, axes }),
      keeps,
      other: late({ tensor: other, axes }),
    }));
  });
}

function boundOf(node: WiredNode, name: string, position: number, none: number): number | undefined {
  const attribute = attributeOf(node, name);
  if (attribute) return attribute.f;
  const input = node.inputs[position];
  return input ? smallConstant(input, 1)?.data[0] : none;
}

/** A pair of QuantizeLinear and DequantizeLinear with one constant scale, or a quantised product. */
function quantisedMoves(node: WiredNode, { axes }: Place, reading: GraphReading): Move[] {
  const quantised = node.inputs[0];
  const inner = quantised?.producer;
  const rounding = roundingOf(node, reading);
  if (!quantised || !inner || !rounding) return [];
  if (inner.operator === 'QuantizeLinear' && inner.inputs[0] && inner.inputs[1] === node.inputs[1])
    return [{ to: { tensor: inner.inputs[0], axes }, step: () => rounding, reader: { node: inner, position: 0 } }];
  return [];
}

/** Of a DequantizeLinear: to what numbers its input was rounded. */
function roundingOf(
  node: WiredNode,
  reading: GraphReading,
): Extract<ScoreStep<WiredTensor>, { op: 'quantise' }> | undefined {
  const [scale, zero] = [smallConstant(node.inputs[1], 1), smallConstant(node.inputs[2], 1)];
  const range = ranges.get(reading.facts(node.inputs[0]).type ?? 0);
  if (!scale || !range || (node.inputs[2] && !zero)) return undefined;
  return { op: 'quantise', scale: scale.data[0]!, zeroPoint: zero?.data[0] ?? 0, min: range[0], max: range[1] };
}

const ranges = new Map<number, readonly [number, number]>([
  [TensorProto_DataType.UINT8, [0, 255]],
  [TensorProto_DataType.INT8, [-128, 127]],
  [TensorProto_DataType.UINT16, [0, 65535]],
  [TensorProto_DataType.INT16, [-32768, 32767]],
]);

/** Scores and a column of learned ones, one of them per head. */
function sinkMoves(node: WiredNode, { axes }: Place, reading: GraphReading): Move[] {
  const axis = intOf(node, 'axis', 0);
  if (node.inputs.length !== 2 || (axis !== -1 && axis !== axes.length - 1)) return [];
  return [0, 1].flatMap((position) => {
    const [tensor, sink] = [node.inputs[position], node.inputs[1 - position]];
    if (!tensor || !sink || reading.facts(sink).shape?.at(-1) !== 1) return [];
    const key = reading.facts(tensor).shape?.at(-1);
    const own = new Atom(key ?? symbol('key'), 'key');
    const to = { tensor, axes: [...axes.slice(0, -1), [own]] };
    return [{ to, sink: { tensor: sink, axes: [...axes.slice(0, -1), []] }, reader: { node, position } }];
  });
}

/** All columns but one, first or last. */
function dropMoves(node: WiredNode, { axes, tensor: kept }: Place, reading: GraphReading): Move[] {
  const tensor = node.inputs[0];
  const [from, to] = [reading.facts(tensor).shape, reading.facts(kept).shape];
  const isSmaller = from && to && from.length === axes.length && to.length === axes.length;
  if (!tensor || !isSmaller || node.operator === 'Gather') return [];
  const whole = new Atom(from.at(-1)!, 'key');
  return [{ to: { tensor, axes: [...axes.slice(0, -1), [whole]] }, dropsSink: true, reader: { node, position: 0 } }];
}
