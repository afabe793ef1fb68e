/**
 * Finds stop strings in text that comes in pieces. What might still become a stop string is held back until it is
 * known; the answer ends before the first one that is complete.
 */
export class StopScanner {
  readonly #stops: readonly string[];
  /** Everything so far, in code units of the answer. */
  #text = '';
  /** Up to here nothing can belong to a stop string any more. */
  #safe = 0;
  #stopAt: number | undefined;

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop.length > 0);
  }

  get text(): string {
    return this.#stopAt === undefined ? this.#text : this.#text.slice(0, this.#stopAt);
  }

  /** Where the answer ends, once a stop string is complete. */
  get stopAt(): number | undefined {
    return this.#stopAt;
  }

  get safeLength(): number {
    return this.#stopAt ?? this.#safe;
  }

  push(piece: string): void {
    if (this.#stopAt !== undefined || piece.length === 0) return;
    this.#text += piece;
    for (const stop of this.#stops) {
      const at = this.#text.indexOf(stop, this.#safe);
      if (at >= 0 && at < (this.#stopAt ?? Infinity)) this.#stopAt = at;
    }
    if (this.#stopAt === undefined) this.#safe = this.#firstDoubtful();
  }

  /** No more text will come: nothing is in doubt. */
  end(): void {
    this.#safe = this.#text.length;
  }

  /** The start of the longest end of the text that a stop string begins with. */
  #firstDoubtful(): number {
    const longest = Math.max(0, ...this.#stops.map((stop) => stop.length - 1));
    for (let at = Math.max(this.#safe, this.#text.length - longest); at < this.#text.length; at++) {
      const end = this.#text.slice(at);
      if (this.#stops.some((stop) => stop.startsWith(end))) return at;
    }
    return this.#text.length;
  }
}
