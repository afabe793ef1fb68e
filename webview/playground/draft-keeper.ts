/**
 * Keeps the draft in two places: with the panel, which survives a reload of the window, and with the controller, which
 * survives a closed tab. Not at every key or token, but soon after, and at once when the page is about to be hidden.
 */
import type { Draft } from '../../src/shared/playground-contract.ts';
import { isEmpty } from './conversation.ts';

export interface DraftKeeperOptions {
  readonly keepWithPanel: (draft: Draft) => void;
  readonly keepWithController: (draft: Draft) => void;
  readonly now: () => number;
}

const quietMs = 300;
const longestMs = 5000;

export class DraftKeeper {
  readonly #options: DraftKeeperOptions;
  #draft: Draft | undefined;
  #quiet: ReturnType<typeof setTimeout> | undefined;
  #longest: ReturnType<typeof setTimeout> | undefined;

  constructor(options: DraftKeeperOptions) {
    this.#options = options;
  }

  changed(draft: Draft): void {
    this.#draft = draft;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.flush(), quietMs);
    this.#longest ??= setTimeout(() => this.flush(), longestMs); // an answer that streams never gets quiet
  }

  flush(): void {
    clearTimeout(this.#quiet);
    clearTimeout(this.#longest);
    this.#longest = undefined;
    const draft = this.#draft;
    this.#draft = undefined;
    if (!draft) return;
    const saved = { ...draft, savedAt: this.#options.now() };
    this.#options.keepWithPanel(saved);
    if (!isEmpty(saved)) this.#options.keepWithController(saved);
  }
}
