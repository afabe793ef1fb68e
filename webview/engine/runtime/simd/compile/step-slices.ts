/** What steps read and write, for the passes that move them. */
import type { Slice } from '../plan.ts';
import type { DraftStep } from './builder.ts';

const present = (slices: readonly (Slice | undefined)[]) => slices.filter((slice) => slice !== undefined);

/** A rotary reads and writes the same part. */
export function readsOf(step: DraftStep): readonly Slice[] {
  switch (step.op) {
    case 'embed':
    case 'select':
      return [];
    case 'norm':
      return present([step.from, step.add]);
    case 'linear':
    case 'unary':
    case 'copy':
      return [step.from];
    case 'rotary':
      return [step.at];
    case 'attention':
      return present([step.query, step.key, step.value, step.residual]);
    case 'glu':
      return [step.gate, step.up];
    case 'binary':
      return isRows(step.right) ? [step.left, step.right] : [step.left];
  }
}

export function writesOf(step: DraftStep): readonly Slice[] {
  if (step.op === 'select') return [];
  if (step.op === 'rotary') return [step.at];
  return step.op === 'norm' ? present([step.to, step.sum]) : [step.to];
}

export function overlaps(a: Slice, b: Slice): boolean {
  return a.buffer === b.buffer && a.offset < b.offset + b.width && b.offset < a.offset + a.width;
}

export function isSameSlice(a: Slice, b: Slice): boolean {
  return a.buffer === b.buffer && a.offset === b.offset && a.width === b.width;
}

export function isRows(right: Slice | Float32Array | number): right is Slice {
  return typeof right === 'object' && !(right instanceof Float32Array);
}

/** The step on other buffers. */
export function withSlices(step: DraftStep, map: (slice: Slice) => Slice): DraftStep {
  switch (step.op) {
    case 'select':
      return step;
    case 'embed':
      return { ...step, to: map(step.to) };
    case 'rotary':
      return { ...step, at: map(step.at) };
    case 'copy':
    case 'linear':
    case 'unary':
      return { ...step, from: map(step.from), to: map(step.to) };
    case 'norm':
      return {
        ...step,
        from: map(step.from),
        to: map(step.to),
        ...(step.add && { add: map(step.add) }),
        ...(step.sum && { sum: map(step.sum) }),
      };
    case 'attention':
      return {
        ...step,
        ...{ query: map(step.query), key: map(step.key), value: map(step.value), to: map(step.to) },
        ...(step.residual && { residual: map(step.residual) }),
      };
    case 'glu':
      return { ...step, gate: map(step.gate), up: map(step.up), to: map(step.to) };
    case 'binary':
      return {
        ...step,
        left: map(step.left),
        to: map(step.to),
        right: isRows(step.right) ? map(step.right) : step.right,
      };
  }
}
