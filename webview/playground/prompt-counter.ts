/** Shows the prompt as the model would read it: asks the engine a moment after the last change, the newest one only. */
import { isCancelled, toAppError } from '../../src/shared/app-error.ts';
import type { EncodedPrompt, PromptInput } from '../../src/shared/engine-contract.ts';

export interface PromptState {
  /** The last answer; it may be a moment behind what is written. */
  readonly encoded?: EncodedPrompt | undefined;
  readonly isCounting: boolean;
  readonly error?: string | undefined;
}

export interface PromptCounterOptions {
  readonly encode: (input: PromptInput, signal: AbortSignal) => Promise<EncodedPrompt>;
  readonly onChange: () => void;
}

export class PromptCounter {
  readonly #options: PromptCounterOptions;
  #state: PromptState = { isCounting: false };
  #wanted = '';
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: AbortController | undefined;

  constructor(options: PromptCounterOptions) {
    this.#options = options;
  }

  get state(): PromptState {
    return this.#state;
  }

  want(input: PromptInput): void {
    const key = JSON.stringify(input);
    if (key === this.#wanted) return;
    this.forget();
    this.#wanted = key;
    this.#set({ ...this.#state, isCounting: true });
    this.#timer = setTimeout(() => void this.#count(input), Math.min(1000, 250 + key.length / 100));
  }

  /** Gives up what is under way; the next `want` counts again. */
  forget(): void {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#wanted = '';
    if (this.#state.isCounting) this.#set({ ...this.#state, isCounting: false });
  }

  async #count(input: PromptInput): Promise<void> {
    const running = new AbortController();
    this.#running = running;
    try {
      const encoded = await this.#options.encode(input, running.signal);
      if (!running.signal.aborted) this.#set({ encoded, isCounting: false });
    } catch (thrown) {
      if (running.signal.aborted) return;
      this.#wanted = '';
      this.#set({ isCounting: false, ...(isCancelled(thrown) ? {} : { error: toAppError(thrown).message }) });
    }
  }

  #set(state: PromptState): void {
    this.#state = state;
    this.#options.onChange();
  }
}
