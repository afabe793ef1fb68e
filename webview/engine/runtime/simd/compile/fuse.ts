/** Joins steps that the machine does in one: biases, norm weights, gated activations, a residual add with its norm. */
import type { Slice, Step } from '../plan.ts';
import type { DraftStep } from './builder.ts';
import type { Draft } from './draft.ts';
import { isRows, isSameSlice, overlaps, writesOf } from './step-slices.ts';

type Of<Op extends Step['op']> = Extract<Step, { op: Op }>;

export function fuse(draft: Draft): void {
  foldVectors(draft);
  gate(draft);
  findResiduals(draft);
  addBeforeNorm(draft);
}

/** The step that writes the slice and whose only reader is `reader`. */
function soleProducer(draft: Draft, slice: Slice, reader: number): number | undefined {
  const writer = draft.writerOf(slice);
  const readers = draft.readers(slice.buffer);
  const isSole = readers.length === 1 && readers[0] === reader && slice.buffer !== draft.logits.buffer;
  return isSole ? writer : undefined;
}

/** Vectors that are added to a product or multiplied with a norm become part of it. */
function foldVectors(draft: Draft): void {
  for (const [index, step] of draft.steps.entries()) {
    if (step?.op !== 'binary' || !(step.right instanceof Float32Array)) continue;
    const producer = soleProducer(draft, step.left, index);
    if (producer === undefined) continue;
    const folded = withVector(draft.steps[producer]!, step, step.right);
    if (!folded) continue;
    draft.replace(producer, folded);
    draft.remove(index);
  }
  draft.compact();
}

function withVector(
  producer: DraftStep,
  { function: name, to }: Of<'binary'>,
  right: Float32Array,
): DraftStep | undefined {
  if (producer.op === 'linear' && name === 'add') {
    const { bias } = producer;
    return { ...producer, to, bias: bias ? right.map((value, i) => value + bias[i]!) : right };
  }
  if (producer.op !== 'norm' || (name !== 'add' && name !== 'multiply')) return undefined;
  const size = producer.to.width / producer.groups;
  if (!right.every((value, i) => value === right[i % size])) return undefined;
  const vector = producer.groups === 1 ? right : right.slice(0, size);
  const { weight, bias } = producer;
  if (name === 'add') return { ...producer, to, bias: bias ? vector.map((value, i) => value + bias[i]!) : vector };
  return {
    ...producer,
    to,
    weight: weight ? vector.map((value, i) => value * weight[i]!) : vector,
    ...(bias && { bias: vector.map((value, i) => value * bias[i]!) }),
  };
}

/** activation(gate) * up */
function gate(draft: Draft): void {
  for (const [index, step] of draft.steps.entries()) {
    if (step?.op !== 'binary' || step.function !== 'multiply' || !isRows(step.right)) continue;
    for (const [activated, up] of [
      [step.left, step.right],
      [step.right, step.left],
    ] as const) {
      const producer = soleProducer(draft, activated, index);
      const unary = producer === undefined ? undefined : draft.steps[producer];
      if (unary?.op !== 'unary' || isSameSlice(activated, up)) continue;
      draft.remove(producer!);
      draft.replace(index, { op: 'glu', function: unary.function, gate: unary.from, up, to: step.to });
      break;
    }
  }
  draft.compact();
}

/** What a layer reads: the input of the norm before its projections, or of those. */
function findResiduals(draft: Draft): void {
  for (const [index, step] of draft.steps.entries()) {
    if (step?.op !== 'attention') continue;
    const residual = residualOf(draft, step.query, index);
    if (residual) draft.replace(index, { ...step, residual });
  }
}

function residualOf(draft: Draft, query: Slice, before: number): Slice | undefined {
  let slice = query;
  let isProjected = false;
  for (let index = before - 1; index >= 0; index--) {
    const step = draft.steps[index];
    if (!step || step.op === 'rotary' || !writesOf(step).some((written) => overlaps(written, slice))) continue;
    if (isProjected) return step.op === 'norm' ? step.from : slice;
    if (step.op === 'linear') isProjected = true;
    if (step.op === 'binary') slice = step.left;
    else if ('from' in step) slice = step.from;
    else return undefined;
  }
  return isProjected ? slice : undefined;
}

/** A sum whose first reader is a norm is computed by the norm. */
function addBeforeNorm(draft: Draft): void {
  for (const [index, step] of draft.steps.entries()) {
    if (step?.op !== 'norm' || step.add) continue;
    const producer = draft.writerOf(step.from);
    const sum = producer === undefined ? undefined : draft.steps[producer];
    if (sum?.op !== 'binary' || sum.function !== 'add' || !isRows(sum.right)) continue;
    const [first, ...later] = draft.readers(step.from.buffer);
    if (first !== index || isTurnedBetween(draft, [sum.left, sum.right], producer!, index)) continue;
    const isKept = later.length > 0 || draft.logits.buffer === step.from.buffer;
    draft.remove(producer!);
    draft.replace(index, { ...step, from: sum.left, add: sum.right, ...(isKept && { sum: step.from }) });
  }
  draft.compact();
}

function isTurnedBetween(draft: Draft, slices: readonly Slice[], from: number, to: number): boolean {
  return slices.some((slice) =>
    draft
      .writers(slice.buffer)
      .some((writer) => writer > from && writer < to && writesOf(draft.steps[writer]!).some((w) => overlaps(w, slice))),
  );
}
