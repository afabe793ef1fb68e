/**
 * Writes a stream into a document that others edit at the same time: in batches, always behind what it wrote before,
 * and in one undo step as long as nobody else edits in between. It never removes or overwrites anything.
 */
import { AnchoredRange, type TextChange } from './anchored-range.ts';

export interface InsertOptions {
  /** Begin or end an undo step with this edit. */
  readonly undoStopBefore: boolean;
  readonly undoStopAfter: boolean;
  /** Nothing comes after this: write it even where the undo step cannot be kept. */
  readonly isLast: boolean;
}

/**
 * `again`: the document changed meanwhile. `hidden`: not now, because no editor shows the document; `wake` says when.
 * `refused`: never.
 */
export type InsertOutcome = 'done' | 'again' | 'hidden' | 'refused';

export interface TextSink {
  insert(offset: number, text: string, options: InsertOptions): Promise<InsertOutcome>;
  /** Waits a moment before the next attempt. */
  pause(): Promise<void>;
}

/** Why a writer writes no more. */
export type WriterStop = 'edited' | 'refused' | 'closed';

const mostAttempts = 40;

export class StreamWriter {
  readonly #sink: TextSink;
  readonly #range: AnchoredRange;
  readonly #onStop: (reason: WriterStop) => void;
  #waiting = '';
  #flying: { readonly text: string; hasLanded: boolean } | undefined;
  #pumping: Promise<void> | undefined;
  #needsUndoStop = true;
  #stopped: WriterStop | undefined;

  constructor(sink: TextSink, offset: number, onStop: (reason: WriterStop) => void) {
    this.#sink = sink;
    this.#range = new AnchoredRange(offset);
    this.#onStop = onStop;
  }

  get stopped(): WriterStop | undefined {
    return this.#stopped;
  }

  get start(): number {
    return this.#range.start;
  }

  get end(): number {
    return this.#range.end;
  }

  /** What was given and is not in the document. */
  get unwritten(): string {
    return this.#waiting;
  }

  write(text: string): void {
    this.#waiting += text;
    this.wake();
  }

  /** Tries again what was waiting for an editor. */
  wake(): void {
    if (this.#waiting !== '') void this.#pump();
  }

  /** To be told of every change of the document, our own included. */
  follow(changes: readonly TextChange[]): void {
    if (this.#stopped !== undefined || changes.length === 0) return;
    if (this.#flying && !this.#flying.hasLanded && this.#isOwn(changes, this.#flying.text)) {
      this.#flying.hasLanded = true;
      this.#range.grow(this.#flying.text.length);
      this.#needsUndoStop = false;
      return;
    }
    this.#needsUndoStop = true;
    if (!this.#range.follow(changes)) this.stop('edited');
  }

  stop(reason: WriterStop): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    this.#onStop(reason);
  }

  /** Writes what is left and ends the undo step; more may be written afterwards, as a step of its own. */
  async finish(): Promise<void> {
    await this.#pumping;
    if (this.#stopped === undefined && (this.#waiting !== '' || this.#range.end > this.#range.start))
      await this.#send(true);
    this.#needsUndoStop = true;
  }

  #pump(): Promise<void> {
    this.#pumping ??= this.#drain().finally(() => {
      this.#pumping = undefined;
    });
    return this.#pumping;
  }

  async #drain(): Promise<void> {
    while (this.#waiting !== '' && this.#stopped === undefined) if (!(await this.#send(false))) return;
  }

  /** Sends all that is waiting; false when it has to wait on. */
  async #send(isLast: boolean): Promise<boolean> {
    for (let attempt = 0; attempt < mostAttempts && this.#stopped === undefined; attempt++) {
      const text = this.#waiting;
      const flying = { text, hasLanded: text === '' };
      this.#flying = flying;
      const undoStopBefore = this.#needsUndoStop && text !== '';
      const options = { undoStopBefore, undoStopAfter: isLast, isLast };
      const outcome = await this.#sink.insert(this.#range.end, text, options);
      if (outcome === 'done' && !flying.hasLanded) await this.#sink.pause(); // the news of a change may come after it
      this.#flying = undefined;
      if (flying.hasLanded) {
        this.#waiting = this.#waiting.slice(text.length);
        return true;
      }
      if (outcome === 'hidden') return false;
      if (outcome !== 'again') break;
      await this.#sink.pause();
    }
    if (this.#stopped === undefined) this.stop('refused');
    return false;
  }

  #isOwn(changes: readonly TextChange[], text: string): boolean {
    const [change] = changes;
    return (
      changes.length === 1 &&
      change?.rangeOffset === this.#range.end &&
      change.rangeLength === 0 &&
      change.text === text
    );
  }
}
