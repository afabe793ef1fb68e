/**
 * What may come next, from the text itself: where its last tokens stood before, and what followed them there ("prompt
 * lookup decoding", Saxena 2023). Adding a token and looking up take constant time.
 */
export interface Continuation {
  readonly ids: readonly number[];
  /** How many tokens before it were the same, at most `longest`. */
  readonly matched: number;
}

/** A pair is the shortest match: single tokens recur everywhere. */
const shortest = 2;
const longest = 4;
/** Earlier places of a pair to look at, the latest first. */
const mostPlaces = 32;
const pairFactor = 0x1000000;

export class PromptLookup {
  readonly #ids: number[] = [];
  /** Of a pair of tokens: where the second stood last, and for every place where the same pair stood before it. */
  readonly #last = new Map<number, number>();
  readonly #before: number[] = [];

  constructor(ids: Iterable<number>) {
    for (const id of ids) this.add(id);
  }

  add(id: number): void {
    const at = this.#ids.length;
    this.#ids.push(id);
    const pair = this.#pairAt(at);
    this.#before.push(this.#last.get(pair) ?? -1);
    if (at > 0) this.#last.set(pair, at);
  }

  /** What followed the latest of the longest matches, `length` tokens of it; goes on in itself where the text ends. */
  continuation(length: number): Continuation | undefined {
    const end = this.#ids.length - 1;
    let matched = 0;
    let found = -1;
    let place = this.#before[end] ?? -1;
    for (let seen = 0; place > 0 && seen < mostPlaces && matched < longest; seen++) {
      const shared = this.#sharedBefore(place, end);
      if (shared > matched) [matched, found] = [shared, place];
      place = this.#before[place] ?? -1;
    }
    if (found < 0) return undefined;
    const ids: number[] = [];
    for (let i = 1; i <= length; i++) ids.push(this.#ids[found + i] ?? (ids[found + i - end - 1] as number));
    return { ids, matched };
  }

  #pairAt(at: number): number {
    return (this.#ids[at - 1] ?? 0) * pairFactor + (this.#ids[at] as number);
  }

  #sharedBefore(place: number, end: number): number {
    let shared = shortest;
    while (shared < longest && shared <= place && this.#ids[place - shared] === this.#ids[end - shared]) shared++;
    return shared;
  }
}
