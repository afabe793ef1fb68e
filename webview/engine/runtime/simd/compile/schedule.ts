/** Puts the steps into their last order, and buffers that are not needed at the same time into the same place. */
import type { Slice, Step } from '../plan.ts';
import type { DraftStep } from './builder.ts';
import type { Draft } from './draft.ts';
import { isSameSlice, readsOf, withSlices, writesOf } from './step-slices.ts';

/** Products of the same rows follow one another: the machine reads and quantises the rows once. */
export function gatherLinears(draft: Draft): void {
  const steps = draft.steps.filter((step) => step !== undefined);
  const ordered: DraftStep[] = [];
  const placed = new Set<DraftStep>();
  for (const step of steps) {
    if (placed.has(step)) continue;
    ordered.push(step);
    if (step.op !== 'linear' || draft.writers(step.from.buffer).some((writer) => steps[writer]?.op === 'rotary'))
      continue;
    for (const reader of draft.readers(step.from.buffer)) {
      const other = steps[reader]!;
      if (other === step || other.op !== 'linear' || placed.has(other) || !isSameSlice(other.from, step.from)) continue;
      if (steps.indexOf(other) < steps.indexOf(step)) continue;
      placed.add(other);
      ordered.push(other);
    }
  }
  draft.steps.splice(0, draft.steps.length, ...ordered);
  draft.compact();
}

/** Rows whose logits nobody asks for end behind the last step that needs positions or fills the cache. */
export function selectRows(draft: Draft): void {
  const steps = draft.steps.filter((step) => step !== undefined);
  const last = steps.findLastIndex(({ op }) => op === 'attention' || op === 'rotary' || op === 'embed');
  const written = new Set(steps.slice(0, last + 1).flatMap((step) => writesOf(step).map(({ buffer }) => buffer)));
  const read = steps.slice(last + 1).flatMap((step) => readsOf(step).map(({ buffer }) => buffer));
  const live = [...new Set([...read, draft.logits.buffer])].filter((buffer) => written.has(buffer));
  steps.splice(last + 1, 0, { op: 'select', buffers: live.sort((a, b) => a - b) });
  draft.steps.splice(0, draft.steps.length, ...steps);
  draft.compact();
}

export interface Placed {
  readonly steps: readonly Step[];
  readonly buffers: readonly number[];
  readonly logits: Slice;
}

/** A step never writes into a buffer that it reads, but for rotations. */
export function placeBuffers(draft: Draft): Placed {
  const steps = draft.steps.filter((step) => step !== undefined);
  const lastUse = new Map<number, number>();
  for (const [index, step] of steps.entries()) for (const buffer of touched(step)) lastUse.set(buffer, index);
  lastUse.set(draft.logits.buffer, steps.length);
  const buffers: number[] = [];
  const places = new Map<number, number>();
  const free = new Set<number>();
  const placed = steps.map((step, index) => {
    for (const { buffer } of writesOf(step)) {
      if (places.has(buffer)) continue;
      const width = draft.widths[buffer]!;
      const place = bestOf(free, buffers, width) ?? buffers.push(width) - 1;
      free.delete(place);
      places.set(buffer, place);
    }
    const moved = toPlan(step, (buffer) => places.get(buffer)!);
    for (const buffer of new Set(touched(step))) if (lastUse.get(buffer) === index) free.add(places.get(buffer)!);
    return moved;
  });
  return { steps: placed, buffers, logits: { ...draft.logits, buffer: places.get(draft.logits.buffer)! } };
}

function touched(step: DraftStep): number[] {
  if (step.op === 'select') return [...step.buffers];
  return [...readsOf(step), ...writesOf(step)].map(({ buffer }) => buffer);
}

/** The narrowest that is wide enough. */
function bestOf(free: ReadonlySet<number>, buffers: readonly number[], width: number): number | undefined {
  const fitting = [...free].filter((place) => buffers[place]! >= width);
  return fitting.sort((a, b) => buffers[a]! - buffers[b]! || a - b)[0];
}

/** What was not avoided of copies is a product with 1, which is exact. */
function toPlan(step: DraftStep, placeOf: (buffer: number) => number): Step {
  if (step.op === 'select') return { ...step, buffers: step.buffers.map(placeOf) };
  const moved = withSlices(step, (slice) => ({ ...slice, buffer: placeOf(slice.buffer) }));
  if (moved.op !== 'copy') return moved;
  return { op: 'binary', function: 'multiply', left: moved.from, right: 1, to: moved.to };
}
