/**
 * Decides who may use the model: what the user waits for, before ghost text, before everything else.
 *
 * Jobs take turns cooperatively. Whoever holds the turn gives others a chance between two steps; a job of a higher
 * priority then runs to its end first. Within a priority it is first come, first served. A new inline job cancels the
 * inline jobs before it. Nothing here knows of models.
 */
import { cancelled, throwIfAborted } from '../../../src/shared/app-error.ts';
import type { Priority } from '../../../src/shared/engine-contract.ts';

export interface Turn {
  readonly signal: AbortSignal;
  /** Between two steps: lets messages in and more urgent jobs overtake. Throws `cancelled` when the job is. */
  pause(): Promise<void>;
}

export interface JobOptions {
  readonly priority: Priority;
  readonly signal: AbortSignal;
  /** How many jobs go first, each time that changes while the job waits. */
  readonly onQueued?: (ahead: number) => void;
}

interface Job {
  readonly rank: number;
  readonly order: number;
  readonly priority: Priority;
  readonly controller: AbortController;
  readonly onQueued: ((ahead: number) => void) | undefined;
  /** Present while the job waits for its turn. */
  resume?: (() => void) | undefined;
  lastAhead?: number;
}

const ranks: Record<Priority, number> = { interactive: 0, inline: 1, background: 2 };

export class Scheduler {
  readonly #jobs: Job[] = [];
  readonly #yieldToMessages: () => Promise<void>;
  #holder: Job | undefined;
  #nextOrder = 0;

  /** `yieldToMessages` resolves in a later task, after the messages that have arrived. */
  constructor(yieldToMessages: () => Promise<void>) {
    this.#yieldToMessages = yieldToMessages;
  }

  /** Resolves or rejects with what `work` does, or with `cancelled`. */
  async run<T>(options: JobOptions, work: (turn: Turn) => Promise<T>): Promise<T> {
    throwIfAborted(options.signal);
    const { priority, onQueued } = options;
    const controller = new AbortController();
    if (priority === 'inline') this.#cancelInline();
    const job: Job = { rank: ranks[priority], order: this.#nextOrder++, priority, controller, onQueued };
    const abort = () => {
      controller.abort(cancelled());
      job.resume?.();
    };
    options.signal.addEventListener('abort', abort, { once: true });
    controller.signal.addEventListener('abort', () => job.resume?.(), { once: true });
    this.#jobs.push(job);
    try {
      await this.#takeTurn(job);
      return await work({ signal: controller.signal, pause: () => this.#pause(job) });
    } catch (thrown) {
      throw controller.signal.aborted ? cancelled() : thrown;
    } finally {
      options.signal.removeEventListener('abort', abort);
      this.#jobs.splice(this.#jobs.indexOf(job), 1);
      if (this.#holder === job) this.#holder = undefined;
      this.#passOn();
    }
  }

  #cancelInline(): void {
    for (const job of this.#jobs) if (job.priority === 'inline') job.controller.abort(cancelled());
  }

  async #pause(job: Job): Promise<void> {
    await this.#yieldToMessages();
    throwIfAborted(job.controller.signal);
    if (this.#first() === job) return;
    this.#holder = undefined;
    await this.#takeTurn(job);
  }

  async #takeTurn(job: Job): Promise<void> {
    if (this.#holder !== undefined || this.#first() !== job) {
      await new Promise<void>((resolve) => {
        job.resume = resolve;
        this.#passOn();
      });
      job.resume = undefined;
      throwIfAborted(job.controller.signal);
    }
    this.#holder = job;
  }

  /** The job whose turn it is: the most urgent, of those the oldest. */
  #first(): Job | undefined {
    let first: Job | undefined;
    for (const job of this.#jobs) {
      if (job.controller.signal.aborted && job !== this.#holder) continue;
      if (!first || job.rank < first.rank || (job.rank === first.rank && job.order < first.order)) first = job;
    }
    return first;
  }

  /** Wakes the first job when nobody holds the turn, and tells the others how long their queue is. */
  #passOn(): void {
    const first = this.#first();
    if (this.#holder === undefined && first?.resume) {
      this.#holder = first;
      first.resume();
    }
    for (const job of this.#jobs) {
      if (!job.resume || job === this.#holder) continue;
      const ahead = this.#jobs.filter((other) => goesBefore(other, job) || other === this.#holder).length;
      if (ahead !== job.lastAhead) job.onQueued?.(ahead);
      job.lastAhead = ahead;
    }
  }
}

function goesBefore(a: Job, b: Job): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.order < b.order);
}

/** A way to let messages in between two steps without the 4 ms that nested timers are held back. */
export function createMessageYield(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()?.();
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      port2.postMessage(undefined);
    });
}
