/** Proposes the tokens that may come next, for the model to verify several in one pass, and learns from what came. */
import { DraftLength } from './draft-length.ts';
import type { PassTimes } from './pass-times.ts';
import { type Continuation, PromptLookup } from './prompt-lookup.ts';

export interface DrafterOptions {
  readonly times: PassTimes;
  /** Behind such a token nothing will be asked for: the end of the answer, a stop string. */
  readonly isLast: (id: number) => boolean;
}

export class Drafter {
  draftedTokens = 0;
  acceptedTokens = 0;
  readonly #lookup: PromptLookup;
  readonly #length = new DraftLength();
  readonly #options: DrafterOptions;
  #matched = 0;
  /** What was found and not drafted: it tells as well as a draft how often matches are right, and costs nothing. */
  #unspoken: Continuation | undefined;

  /** `ids`: the text so far. */
  constructor(ids: readonly number[], options: DrafterOptions) {
    this.#lookup = new PromptLookup(ids);
    this.#options = options;
  }

  /** The text goes on with this token. */
  add(id: number): void {
    this.#lookup.add(id);
    if (this.#unspoken) this.#length.verified(this.#unspoken.matched, 1, Number(this.#unspoken.ids[0] === id));
    this.#unspoken = undefined;
  }

  /** At most `room` tokens, or none where none are worth it. */
  draft(room: number): readonly number[] {
    const { times, isLast } = this.#options;
    const found = this.#lookup.continuation(room);
    const length = found
      ? Math.min(
          room,
          this.#length.best(found.matched, (tokens) => times.cost(tokens)),
        )
      : 0;
    if (!found || length <= 0) {
      this.#length.skipped();
      if (room > 0) this.#unspoken = found;
      return [];
    }
    this.#matched = found.matched;
    const ids = found.ids.slice(0, length);
    const last = ids.findIndex(isLast);
    return last < 0 ? ids : ids.slice(0, last + 1);
  }

  /** Of the last draft, `accepted` tokens came. */
  verified(drafted: number, accepted: number): void {
    this.draftedTokens += drafted;
    this.acceptedTokens += accepted;
    this.#length.verified(this.#matched, drafted, accepted);
  }
}
