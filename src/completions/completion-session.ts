/**
 * Answers every question for a completion within its time: with the text, or with nothing and the reason. What comes
 * too late is kept, and whoever asked is told to ask again. At most one completion is being computed.
 */
import { isCancelled, toAppError } from '../shared/app-error.ts';
import type { engineMethods } from '../shared/engine-contract.ts';
import type { Caller } from '../shared/peer.ts';
import { type CachePlace, CompletionCache, typedAlong } from './cache.ts';
import { completeLine, type LinePlace, surroundingsOf } from './complete-line.ts';
import { ContextWindow } from './context.ts';
import { none, refusePlace, type Suggestion } from './filter.ts';
import { TypingPace } from './typing-pace.ts';

export interface CompletionRequest extends LinePlace {
  /** The document. */
  readonly document: string;
  readonly contextTokens: number;
  /** The user asked for it, rather than typed. */
  readonly isExplicit: boolean;
}

export interface SessionOptions {
  readonly engine: Caller<typeof engineMethods>;
  /** What came of it after its time; `find` at the cursor tells whether a text is still of use there. */
  readonly onLate: (suggestion: Suggestion) => void;
  readonly budgetMs?: number;
}

interface Job {
  readonly request: CompletionRequest;
  readonly controller: AbortController;
  readonly done: Promise<Suggestion>;
  /** What the model has written so far. */
  text: string;
  /** Somebody who asked has been sent away with nothing. */
  isLate: boolean;
}

/** Less than the 250 ms that are promised, for the way through the editor. */
const defaultBudgetMs = 200;

export class CompletionSession {
  readonly #options: SessionOptions;
  readonly #window: ContextWindow;
  readonly #cache = new CompletionCache();
  readonly #pace = new TypingPace();
  #job: Job | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#window = new ContextWindow(options.engine);
  }

  /** Never rejects and never takes longer than the budget. */
  async provide(request: CompletionRequest, signal?: AbortSignal): Promise<Suggestion> {
    const budgetMs = this.#options.budgetMs ?? defaultBudgetMs;
    const refused = refusePlace(surroundingsOf(request), request.isExplicit);
    if (refused) {
      this.cancel();
      return none(refused);
    }
    if (!request.isExplicit) this.#pace.keyPressed(performance.now());
    const known = this.find(request);
    if (known) return known;
    const job = this.#jobFor(request);
    const waited = await within(budgetMs, job.done, signal);
    if (waited) return this.find(request) ?? waited;
    if (signal?.aborted) return none('the editor no longer asks for it');
    job.isLate = true;
    return none('not there yet');
  }

  /** A completion that is there already. */
  find(place: CompletionRequest): Suggestion | undefined {
    return this.#cache.find(cachePlaceOf(place));
  }

  /** The cursor or the text changed: what is being computed ends, unless it is for here. */
  moved(place: CompletionRequest | undefined): void {
    if (this.#job && !(place && isAlong(this.#job, place))) this.cancel();
  }

  cancel(): void {
    this.#job?.controller.abort();
    this.#job = undefined;
  }

  /** Forgets what another model said. */
  clear(): void {
    this.cancel();
    this.#cache.clear();
  }

  #jobFor(request: CompletionRequest): Job {
    if (this.#job && isAlong(this.#job, request)) return this.#job;
    this.cancel();
    const controller = new AbortController();
    const onText = (text: string) => {
      job.text = text;
    };
    const done = this.#run(request, controller.signal, onText);
    const job: Job = { request, controller, done, text: '', isLate: false };
    this.#job = job;
    void done.then((suggestion) => {
      if (this.#job === job) this.#job = undefined;
      if (job.isLate) this.#options.onLate(controller.signal.aborted ? none('typing went on') : suggestion);
    });
    return job;
  }

  async #run(request: CompletionRequest, signal: AbortSignal, onText: (text: string) => void): Promise<Suggestion> {
    const { engine } = this.#options;
    try {
      if (!request.isExplicit) await sleep(this.#pace.delayMs, signal);
      if (signal.aborted) return none('typing went on');
      const startedAt = performance.now();
      const { contextTokens } = request;
      const suggestion = await completeLine(engine, request, { window: this.#window, contextTokens, signal, onText });
      this.#pace.answered(performance.now() - startedAt);
      if (!signal.aborted) this.#cache.add(cachePlaceOf(request), suggestion);
      return suggestion;
    } catch (thrown) {
      return none(isCancelled(thrown) ? 'typing went on' : toAppError(thrown).message);
    }
  }
}

function cachePlaceOf(request: CompletionRequest): CachePlace {
  const { lineSuffix, nextLine } = surroundingsOf(request);
  return { document: request.document, prefix: request.prefix, after: `${lineSuffix}\n${nextLine}` };
}

/** Whether nothing was typed but what the model has written so far. */
function isAlong({ request, text }: Job, place: CompletionRequest): boolean {
  return typedAlong(cachePlaceOf(request), text, cachePlaceOf(place)) !== undefined;
}

/** The promise's value, or undefined once the time is over or the signal fired. */
function within<T>(timeoutMs: number, promise: Promise<T>, signal?: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(finish, timeoutMs);
    function finish(value?: T) {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      resolve(value);
    }
    const onAbort = () => finish();
    if (signal?.aborted) return finish();
    signal?.addEventListener('abort', onAbort, { once: true });
    promise.then(finish);
  });
}

function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, delayMs);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
