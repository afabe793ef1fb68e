/**
 * Token healing: the first tokens of an answer must spell a given text, byte for byte. At each step the tokens that
 * spell a beginning of the rest, or begin with all of it, may come; the model chooses among them.
 */
import { AppError } from '../../../src/shared/app-error.ts';

/** The vocabulary sorted by its bytes: what begins with some bytes is one range. */
export class SpellingTable {
  readonly #bytes: readonly Uint8Array[];
  readonly #sorted: Int32Array;

  constructor(tokenBytes: readonly Uint8Array[]) {
    this.#bytes = tokenBytes;
    const ids = tokenBytes.flatMap((bytes, id) => (bytes.length > 0 ? [id] : []));
    this.#sorted = Int32Array.from(ids).sort((a, b) => compare(this.#bytes[a]!, this.#bytes[b]!));
  }

  /** Ascending ids of the tokens that may come next when `rest` is still to be spelled. */
  allowed(rest: Uint8Array): number[] {
    const ids: number[] = [];
    for (let length = 1; length < rest.length; length++) this.#collect(rest.subarray(0, length), true, ids);
    this.#collect(rest, false, ids);
    return ids.sort((a, b) => a - b);
  }

  #collect(bytes: Uint8Array, isExact: boolean, ids: number[]): void {
    for (let at = this.#lowerBound(bytes); at < this.#sorted.length; at++) {
      const id = this.#sorted[at] as number;
      const candidate = this.#bytes[id]!;
      if (candidate.length < bytes.length || (isExact && candidate.length > bytes.length)) return;
      for (let i = 0; i < bytes.length; i++) if (candidate[i] !== bytes[i]) return;
      ids.push(id);
    }
  }

  #lowerBound(bytes: Uint8Array): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(this.#bytes[this.#sorted[middle] as number]!, bytes) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
  return a.length - b.length;
}

/** What is still to be spelled in one answer. */
export class Healing {
  readonly #table: SpellingTable;
  #rest: Uint8Array;

  constructor(table: SpellingTable, text: string) {
    this.#table = table;
    this.#rest = new TextEncoder().encode(text);
  }

  /** Ids that may come next; undefined once all is spelled. */
  allowed(): number[] | undefined {
    if (this.#rest.length === 0) return undefined;
    const ids = this.#table.allowed(this.#rest);
    if (ids.length > 0) return ids;
    const rest = new TextDecoder().decode(this.#rest);
    throw new AppError('bad-input', `The model's vocabulary cannot spell "${rest}".`);
  }

  spelled(bytes: Uint8Array): void {
    this.#rest = this.#rest.subarray(Math.min(bytes.length, this.#rest.length));
  }
}
