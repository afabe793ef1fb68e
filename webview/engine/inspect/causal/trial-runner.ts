/**
 * Runs one text under many changes: each trial forks the past that its change leaves alone, and as many trials as fit go
 * through the weights together. Between two passes, tens of milliseconds, cancellation and other work get their turn.
 */
import type { Arithmetic } from '../../../../src/shared/engine-contract.ts';
import type { BatchItem, Cache, Decoder, ForwardOptions, ForwardResult, Intervention } from '../../decoder.ts';

export interface Trial extends Intervention {
  /** The first position at which anything changes: what comes before is not computed again. */
  readonly from: number;
}

export interface TrialOptions {
  readonly arithmetic: Arithmetic;
  readonly signal?: AbortSignal | undefined;
  /** Tokens done and to do in all, other texts not counted. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** One trial at a time; for comparison. */
  readonly isAlone?: boolean;
}

interface Running {
  readonly trial: Trial;
  readonly index: number;
  cache?: Cache;
  done: number;
}

/** A pass should take no longer: a cancel is heard between two. */
const passMs = 40;

export class TrialRunner {
  readonly #decoder: Decoder;
  readonly #tokens: readonly number[];
  readonly #options: TrialOptions;
  readonly #base: Cache;
  #rows: number;
  #done = 0;
  #total = 0;

  constructor(decoder: Decoder, tokens: readonly number[], options: TrialOptions) {
    this.#decoder = decoder;
    this.#tokens = tokens;
    this.#options = options;
    this.#base = decoder.createCache();
    this.#rows = Math.min(8, decoder.maxChunk);
  }

  /** Logits [vocabSize] behind the last token, nothing changed. Comes before `run`, which will do `trials`. */
  async original(trials: readonly Trial[]): Promise<Float32Array> {
    this.#total = trials.reduce((sum, { from }) => sum + this.#tokens.length - from, this.#tokens.length);
    for (;;) {
      const tokens = this.#tokens.slice(this.#base.length, this.#base.length + this.#rows);
      const isLast = this.#base.length + tokens.length === this.#tokens.length;
      const [result] = await this.#pass([{ cache: this.#base, tokens, logits: isLast ? 'last' : 'none' }]);
      if (isLast) return result!.logits;
    }
  }

  /** What `value` makes of the logits [vocabSize] behind the last token, for each trial; they are not kept. */
  async run<T>(trials: readonly Trial[], value: (logits: Float32Array) => T): Promise<T[]> {
    const values: T[] = [];
    const waiting = trials.map((trial, index): Running => ({ trial, index, done: trial.from }));
    const open: Running[] = [];
    try {
      while (waiting.length + open.length > 0) {
        const parts = this.#take(waiting, open);
        const results = await this.#pass(parts.map(({ item }) => item));
        for (const [i, { running, item }] of parts.entries()) {
          running.done += item.tokens.length;
          if (running.done < this.#tokens.length) continue;
          values[running.index] = value(results[i]!.logits);
          item.cache.dispose();
          open.splice(open.indexOf(running), 1);
        }
      }
    } finally {
      for (const { cache } of open) cache?.dispose();
    }
    return values;
  }

  dispose(): void {
    this.#base.dispose();
  }

  /** What goes into the next pass: open trials first, then waiting ones, while there are rows left. */
  #take(waiting: Running[], open: Running[]): { running: Running; item: BatchItem }[] {
    const { isAlone = false } = this.#options;
    const most = this.#decoder.forwardBatch && !isAlone ? Number.POSITIVE_INFINITY : 1;
    const parts: { running: Running; item: BatchItem }[] = [];
    for (let left = this.#rows, i = 0; left > 0 && parts.length < most; i++) {
      const running = open[i] ?? waiting.shift();
      if (!running) break;
      if (!open[i]) open.push(running);
      const { from, ...changes } = running.trial;
      running.cache ??= this.#fork(from);
      const tokens = this.#tokens.slice(running.done, running.done + left);
      const isLast = running.done + tokens.length === this.#tokens.length;
      parts.push({ running, item: { ...changes, cache: running.cache, tokens, logits: isLast ? 'last' : 'none' } });
      left -= tokens.length;
    }
    return parts;
  }

  #fork(length: number): Cache {
    if (length === 0) return this.#decoder.createCache();
    const cache = this.#base.fork();
    cache.crop(length);
    return cache;
  }

  async #pass(items: readonly BatchItem[]): Promise<ForwardResult[]> {
    const { arithmetic, signal, onProgress } = this.#options;
    onProgress?.(this.#done, this.#total);
    const options: ForwardOptions = { logits: 'none', arithmetic, ...(signal && { signal }) };
    const startedAt = performance.now();
    const results = this.#decoder.forwardBatch
      ? await this.#decoder.forwardBatch(items, options)
      : [await this.#alone(items[0]!, options)];
    const rows = items.reduce((sum, { tokens }) => sum + tokens.length, 0);
    this.#adapt(rows, performance.now() - startedAt);
    this.#done += rows;
    onProgress?.(this.#done, this.#total);
    return results;
  }

  #alone({ cache, tokens, ...changes }: BatchItem, options: ForwardOptions): Promise<ForwardResult> {
    return this.#decoder.forward(cache, tokens, { ...options, ...changes });
  }

  /** As many rows as fit the time, in fours, which go through the kernels together; at most twice as many as before. */
  #adapt(rows: number, ms: number): void {
    if (rows < this.#rows && ms < passMs) return;
    const fitting = Math.floor((rows * passMs) / Math.max(ms, 0.1) / 4) * 4;
    this.#rows = Math.max(1, Math.min(this.#decoder.maxChunk, Math.max(4, fitting), 2 * this.#rows));
  }
}
