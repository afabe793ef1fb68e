/** The steps of a score program on one row: a row of products becomes a row of weights. */
import type { PastRule, ScoreStep } from '../graph/attention-site.ts';
import { roundToBrainFloat, roundToHalf } from '../graph/half.ts';
import type { RoleSizes, TensorView } from './tensor-view.ts';

/** A step whose tensors are at hand. */
export type BoundStep = ScoreStep<TensorView>;

export interface RowPlace {
  readonly batch: number;
  readonly head: number;
  readonly query: number;
  readonly sizes: RoleSizes;
}

export function applyStep(step: BoundStep, row: Float32Array, place: RowPlace): void {
  switch (step.op) {
    case 'where': {
      const [condition, other] = [sideRow(step.condition.tensor, place), sideRow(step.other.tensor, place)];
      for (let j = 0; j < row.length; j++) if ((condition(j) !== 0) !== step.keeps) row[j] = other(j);
      return;
    }
    case 'guard': {
      const other = sideRow(step.other.tensor, place);
      for (let j = 0; j < row.length; j++) if (Number.isNaN(row[j])) row[j] = other(j);
      return;
    }
    case 'clip':
      for (let j = 0; j < row.length; j++) row[j] = Math.min(step.max, Math.max(step.min, row[j]!));
      return;
    case 'cast':
      for (let j = 0; j < row.length; j++)
        row[j] =
          step.type === 'float16'
            ? roundToHalf(row[j]!)
            : step.type === 'bfloat16'
              ? roundToBrainFloat(row[j]!)
              : row[j]!;
      return;
    case 'quantise':
      for (let j = 0; j < row.length; j++) {
        const code = roundToEven(row[j]! / step.scale) + step.zeroPoint;
        row[j] = (Math.min(step.max, Math.max(step.min, code)) - step.zeroPoint) * step.scale;
      }
      return;
    case 'mask': {
      const mask = sideRow(step.mask.tensor, place);
      for (let j = 0; j < row.length; j++) if (mask(j) === 0) row[j] = row[j]! + step.fill;
      return;
    }
    case 'range':
      addRange(step, row, place);
      return;
    case 'visible':
      hide(step, row, place);
      return;
    default:
      if ('operand' in step) {
        const operand = sideRow(step.operand.tensor, place);
        const f = binary[step.op];
        for (let j = 0; j < row.length; j++) row[j] = step.isReversed ? f(operand(j), row[j]!) : f(row[j]!, operand(j));
      } else {
        const f = unary[step.op];
        for (let j = 0; j < row.length; j++) row[j] = f(row[j]!);
      }
  }
}

type SideValue = TensorView | { readonly data: ArrayLike<number> };

/** Numbers beside a row, by key. */
function sideRow(side: SideValue, { batch, head, query, sizes }: RowPlace): (key: number) => number {
  if (!('step' in side)) return () => side.data[0]!;
  const start = side.start(sizes, batch, head) + query * side.step('query');
  const step = side.step('key');
  const { data } = side;
  return (key) => data[start + key * step]!;
}

const binary: Record<'add' | 'sub' | 'mul' | 'div' | 'min' | 'max' | 'pow', (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
  pow: (a, b) => a ** b,
};

const unary: Record<'tanh' | 'neg' | 'abs' | 'exp' | 'sigmoid', (x: number) => number> = {
  tanh: Math.tanh,
  neg: (x) => -x,
  abs: Math.abs,
  exp: Math.exp,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

function hide(
  { isCausal, past, window, fill }: Extract<BoundStep, { op: 'visible' }>,
  row: Float32Array,
  place: RowPlace,
): void {
  const length = lengthOf(past, place.batch, place.sizes) ?? row.length;
  const position = place.query + offsetOf(past, place.batch, place.sizes);
  for (let j = 0; j < row.length; j++) {
    const isHidden = j >= length || (isCausal && j > position) || (window !== undefined && j <= position - window);
    if (isHidden) row[j] = fill === undefined ? Number.NEGATIVE_INFINITY : row[j]! + fill;
  }
}

function addRange(
  { bounds: { tensor }, fill }: Extract<BoundStep, { op: 'range' }>,
  row: Float32Array,
  { batch, sizes }: RowPlace,
): void {
  const bounds = tensor.data;
  const batches = sizes.total('batch');
  const start = bounds.length === 2 * batches ? bounds[batches + batch]! : 0;
  for (let j = 0; j < row.length; j++) if (j < start || j >= bounds[batch]!) row[j] = row[j]! + fill;
}

function lengthOf({ lengths, added = 0 }: PastRule<TensorView>, batch: number, sizes: RoleSizes): number | undefined {
  if (!lengths) return undefined;
  const { tensor } = lengths;
  return added + ('step' in tensor ? tensor.data[tensor.start(sizes, batch, 0)]! : tensor.data[0]!);
}

/** At which key the first query stands. */
export function offsetOf(past: PastRule<TensorView>, batch: number, sizes: RoleSizes): number {
  const [queries, keys] = [sizes.of('query'), sizes.of('key')];
  if (past.from === 'start') return 0;
  if (past.from === 'end') return keys - queries;
  return past.from === 'cache' && keys === queries ? 0 : (lengthOf(past, batch, sizes) ?? keys) - queries;
}

/** As IEEE 754 and QuantizeLinear round: halves to the even neighbour. */
function roundToEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
