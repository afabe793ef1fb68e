/**
 * How many tokens to draft: as many as gain the most for what a longer pass costs, none where nothing is gained. Long
 * matches are trusted more than short ones; all are trusted more after hits and less after misses.
 */

/** How often the next token of a match of n tokens was right in 150 files of code, contexts of 256 and 1,024 tokens. */
const usualHits: Readonly<Record<number, number>> = { 2: 0.45, 3: 0.52, 4: 0.65 };
const mostDrafted = 15;
/** Beside the model a drafted token costs a row of logits and a place in the cache. */
const leastGain = 1.08;
/** Step of the online logistic regression by which `#trust` follows the outcomes. */
const learning = 0.6;
/** However often drafts came true, a few misses are enough to stop them. */
const mostTrust = 2;
/** After misses trust comes back, so that another passage is tried. */
const forgiving = 0.985;

export class DraftLength {
  /** Added to the log odds of a hit. */
  #trust = 0;

  /**
   * The best length for a match of `matched` tokens, 0 for none.
   * @param cost of a pass of so many tokens, as a multiple of a pass of one
   */
  best(matched: number, cost: (tokens: number) => number): number {
    const hit = this.#hitRate(matched);
    let best = 0;
    let bestGain = leastGain;
    let emitted = 1;
    for (let length = 1, right = hit; length <= mostDrafted; length++, right *= hit) {
      emitted += right;
      const gain = emitted / cost(1 + length);
      if (gain > bestGain) [best, bestGain] = [length, gain];
    }
    return best;
  }

  /** A draft was verified: `accepted` of its `drafted` tokens came. */
  verified(matched: number, drafted: number, accepted: number): void {
    for (let i = 0; i < Math.min(drafted, accepted + 1); i++) {
      const hit = i < accepted ? 1 : 0;
      this.#trust = Math.min(mostTrust, this.#trust + learning * (hit - this.#hitRate(matched)));
    }
  }

  /** A token came without a draft. */
  skipped(): void {
    if (this.#trust < 0) this.#trust *= forgiving;
  }

  #hitRate(matched: number): number {
    const usual = usualHits[matched] ?? 0;
    return 1 / (1 + ((1 - usual) / usual) * Math.exp(-this.#trust));
  }
}
