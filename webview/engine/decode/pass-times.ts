/**
 * What a pass through the model costs by its number of tokens, learnt from the passes as they happen and kept for as long
 * as the model is. It is no straight line everywhere: ONNX Runtime's WASM kernels take three times as long for two tokens
 * as for one, and hardly longer for 16 than for two.
 */
export class PassTimes {
  /** Milliseconds of passes of so many tokens. */
  readonly #short = new Map<number, number>();
  #one: number | undefined;
  #long: { readonly tokens: number; readonly ms: number } | undefined;
  #singles = 0;
  readonly #told: number | undefined;
  readonly #together: number;

  /**
   * `told`: what each further token costs, as a share of the first, where the decoder says so; `together`: how many of
   * a longer pass are computed at once.
   */
  constructor(told?: number, together = 1) {
    this.#told = told;
    this.#together = together;
  }

  note(given: number, ms: number): void {
    const tokens = this.#filled(given);
    if (tokens > longest) {
      this.#long = { tokens: blend(this.#long?.tokens, tokens), ms: blend(this.#long?.ms, ms) };
    } else if (tokens > 1) {
      this.#short.set(tokens, blend(this.#short.get(tokens), ms));
    } else {
      this.#one = blend(this.#one, ms);
      if (++this.#singles % forgetAfter === 0) this.#short.clear();
    }
  }

  /** Of a pass of `tokens`, as a multiple of a pass of one. */
  cost(given: number): number {
    const one = this.#one;
    const tokens = this.#filled(given);
    if (this.#told !== undefined || one === undefined) return 1 + (given - 1) * (this.#told ?? unknownShare);
    let [below, above] = [{ tokens: 1, ms: one }, this.#long];
    for (const [known, ms] of this.#short) {
      if (known <= tokens && known > below.tokens) below = { tokens: known, ms };
      if (known >= tokens && known < (above?.tokens ?? Infinity)) above = { tokens: known, ms };
    }
    if (below.tokens === tokens) return below.ms / one;
    const rise = above ? (above.ms - below.ms) / (above.tokens - below.tokens) : unknownShare * one;
    return (below.ms + Math.max(0, rise) * (tokens - below.tokens)) / one;
  }

  /** A pass of three takes as long as one of four, where four are computed together. */
  #filled(tokens: number): number {
    return tokens === 1 ? 1 : Math.ceil(tokens / this.#together) * this.#together;
  }
}

/** Careful until it is known: where a batch saves nothing, little is lost by finding out. */
const unknownShare = 0.5;
const longest = 16;
/** A pass that happened to be slow is not held against its length for ever. */
const forgetAfter = 256;

/** The clock of a page is coarse and a machine has other work: no single pass counts for much, a slow one for less. */
function blend(before: number | undefined, now: number): number {
  return before === undefined ? now : before + (now - before) / (now < before ? 4 : 8);
}
