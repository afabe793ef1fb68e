/** Removes what is not needed: steps that nothing reads, copies that can be the same place. */
import type { DraftStep } from './builder.ts';
import type { Draft } from './draft.ts';
import { overlaps, readsOf, writesOf } from './step-slices.ts';

/** Attention stays: it fills the cache. */
export function removeDead(draft: Draft): void {
  const live = new Set([draft.logits.buffer]);
  for (let index = draft.steps.length - 1; index >= 0; index--) {
    const step = draft.steps[index];
    if (!step) continue;
    const isLive = step.op === 'attention' || writesOf(step).some(({ buffer }) => live.has(buffer));
    if (isLive) for (const { buffer } of readsOf(step)) live.add(buffer);
    else draft.remove(index);
  }
  draft.compact();
}

type Copy = Extract<DraftStep, { op: 'copy' }>;

export function elideCopies(draft: Draft): void {
  for (const [index, step] of draft.steps.entries()) {
    if (step?.op !== 'copy') continue;
    if (mayShareSource(draft, index, step)) {
      draft.remove(index);
      draft.rename(step.to.buffer, step.from.buffer, step.from.offset);
    } else if (mayWriteThere(draft, index, step)) {
      draft.remove(index);
      draft.rename(step.from.buffer, step.to.buffer, step.to.offset);
    }
  }
  draft.compact();
}

/** The copy's readers can read the original: neither is changed while the other is still read. */
function mayShareSource(draft: Draft, index: number, { from, to }: Copy): boolean {
  if (!draft.isWhole(to)) return false;
  const others = draft.writers(to.buffer).filter((writer) => writer !== index);
  const isTurned = others.length > 0;
  if (others.some((writer) => draft.steps[writer]!.op !== 'rotary')) return false;
  const isChangedLater = draft
    .writers(from.buffer)
    .some((writer) => writer > index && writesOf(draft.steps[writer]!).some((slice) => overlaps(slice, from)));
  if (isChangedLater) return false;
  return !isTurned || !isReadLater(draft, index, from);
}

/** The original's writer can write where the copy goes. */
function mayWriteThere(draft: Draft, index: number, { from, to }: Copy): boolean {
  if (!draft.isWhole(from) || from.buffer === to.buffer || from.buffer === draft.logits.buffer) return false;
  const writers = draft.writers(from.buffer);
  if (writers.some((writer) => writer > index || draft.steps[writer]!.op === 'rotary')) return false;
  if (wouldOverrun(draft, writers, to)) return false;
  const isTurned = draft
    .writers(to.buffer)
    .some((writer) => writer !== index && writesOf(draft.steps[writer]!).some((slice) => overlaps(slice, to)));
  return !isTurned || !isReadLater(draft, index, from);
}

/** Products come in groups of 8: what lies behind a slice of another width would be written over. */
function wouldOverrun(draft: Draft, writers: readonly number[], { buffer, offset, width }: Copy['to']): boolean {
  const isLast = offset + width === draft.widths[buffer];
  return width % 8 !== 0 && !isLast && writers.some((writer) => ['linear', 'embed'].includes(draft.steps[writer]!.op));
}

function isReadLater(draft: Draft, index: number, from: Copy['from']): boolean {
  return draft
    .readers(from.buffer)
    .some((reader) => reader > index && readsOf(draft.steps[reader]!).some((slice) => overlaps(slice, from)));
}
