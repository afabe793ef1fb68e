/** Steps over buffers that are written once, with an index of who touches which. */
import type { Slice } from '../plan.ts';
import type { DraftStep } from './builder.ts';
import { readsOf, withSlices, writesOf } from './step-slices.ts';

export class Draft {
  /** Removed steps are undefined until `compact`. */
  readonly steps: (DraftStep | undefined)[];
  readonly widths: readonly number[];
  logits: Slice;
  #readers: number[][] = [];
  #writers: number[][] = [];

  constructor(steps: readonly DraftStep[], widths: readonly number[], logits: Slice) {
    this.steps = [...steps];
    this.widths = widths;
    this.logits = logits;
    this.compact();
  }

  /** Drops what was removed; indices change. */
  compact(): void {
    const kept = this.steps.filter((step) => step !== undefined);
    this.steps.splice(0, this.steps.length, ...kept);
    this.#readers = this.widths.map(() => []);
    this.#writers = this.widths.map(() => []);
    for (const [index, step] of kept.entries()) this.#note(index, step);
  }

  replace(index: number, step: DraftStep): void {
    this.steps[index] = step;
    this.#note(index, step);
  }

  remove(index: number): void {
    this.steps[index] = undefined;
  }

  /** Ascending indices of steps that read the buffer now. */
  readers(buffer: number): number[] {
    return this.#current(this.#readers[buffer]!, (step) => readsOf(step).some((slice) => slice.buffer === buffer));
  }

  /** Rotations among them. */
  writers(buffer: number): number[] {
    return this.#current(this.#writers[buffer]!, (step) => writesOf(step).some((slice) => slice.buffer === buffer));
  }

  /** Puts a buffer's place at `offset` of another one. */
  rename(buffer: number, to: number, offset: number): void {
    const map = (slice: Slice) =>
      slice.buffer === buffer ? { ...slice, buffer: to, offset: slice.offset + offset } : slice;
    for (const index of new Set([...this.readers(buffer), ...this.writers(buffer)]))
      this.replace(index, withSlices(this.steps[index]!, map));
    this.logits = map(this.logits);
  }

  isWhole({ buffer, offset, width }: Slice): boolean {
    return offset === 0 && width === this.widths[buffer];
  }

  /** The one step that writes exactly this slice, if nothing else writes into it, a rotation included. */
  writerOf(slice: Slice): number | undefined {
    const writers = this.writers(slice.buffer);
    return writers.length === 1 && this.isWhole(slice) ? writers[0] : undefined;
  }

  #note(index: number, step: DraftStep): void {
    for (const { buffer } of readsOf(step)) this.#readers[buffer]!.push(index);
    for (const { buffer } of writesOf(step)) this.#writers[buffer]!.push(index);
  }

  #current(list: readonly number[], isTouching: (step: DraftStep) => boolean): number[] {
    const current = [...new Set(list)].filter((index) => {
      const step = this.steps[index];
      return step !== undefined && isTouching(step);
    });
    return current.sort((a, b) => a - b);
  }
}
