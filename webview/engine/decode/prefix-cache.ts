/**
 * Never computes a token twice: keeps the caches of the last requests, prompts and answers alike, and gives a new
 * request the one that shares the longest beginning with it.
 */
import type { Cache, Decoder } from '../decoder.ts';

interface Entry {
  ids: readonly number[];
  readonly cache: Cache;
}

export interface Lease {
  readonly cache: Cache;
  /** Tokens that the cache holds already. */
  readonly reused: number;
}

export class PrefixCache {
  readonly #decoder: Pick<Decoder, 'createCache'>;
  readonly #limitBytes: number;
  /** Least recently used first. None of them is in use. */
  readonly #entries: Entry[] = [];
  readonly #leased = new Set<Cache>();

  constructor(decoder: Pick<Decoder, 'createCache' | 'onFull'>, limitBytes: number) {
    this.#decoder = decoder;
    this.#limitBytes = limitBytes;
    decoder.onFull?.(() => this.#dropOldest());
  }

  get count(): number {
    return this.#entries.length + this.#leased.size;
  }

  get sizeBytes(): number {
    let size = 0;
    for (const { cache } of this.#entries) size += cache.sizeBytes;
    for (const cache of this.#leased) size += cache.sizeBytes;
    return size;
  }

  /** A cache that holds the longest known beginning of `ids`, but never all of them: the last gives the logits. */
  take(ids: readonly number[]): Lease {
    let best: Entry | undefined;
    let reused = 0;
    for (const entry of this.#entries) {
      const shared = Math.min(sharedLength(entry.ids, ids), ids.length - 1);
      if (shared > 0 && shared >= reused) [best, reused] = [entry, shared];
    }
    const cache = best ? this.#lend(best, reused) : this.#decoder.createCache();
    this.#leased.add(cache);
    return { cache, reused };
  }

  /** Gives a lease back with the tokens that the cache now holds; whatever was computed is of use later. */
  give(cache: Cache, ids: readonly number[]): void {
    this.#leased.delete(cache);
    const held = ids.slice(0, cache.length);
    if (held.length === 0 || cache.length > ids.length) return cache.dispose();
    // One that is wholly contained in the other is of no further use.
    for (const entry of [...this.#entries]) {
      const shared = sharedLength(entry.ids, held);
      if (shared === held.length && entry.ids.length >= held.length) {
        cache.dispose();
        this.#touch(entry);
        return this.#evict();
      }
      if (shared === entry.ids.length) this.#drop(entry);
    }
    this.#entries.push({ ids: held, cache });
    this.#evict();
  }

  /** For a lease whose run failed in the runtime: what the cache holds is not known. */
  discard(cache: Cache): void {
    this.#leased.delete(cache);
    cache.dispose();
  }

  clear(): void {
    for (const entry of [...this.#entries]) this.#drop(entry);
  }

  #lend(entry: Entry, length: number): Cache {
    const isWhole = length === entry.ids.length;
    // Only what is beyond the shared part is lost by cropping in place, which is right when memory is short.
    if (!isWhole && this.sizeBytes + entry.cache.sizeBytes <= this.#limitBytes) {
      this.#touch(entry);
      const fork = entry.cache.fork();
      fork.crop(length);
      return fork;
    }
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    if (!isWhole) entry.cache.crop(length);
    return entry.cache;
  }

  #touch(entry: Entry): void {
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    this.#entries.push(entry);
  }

  #drop(entry: Entry): void {
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    entry.cache.dispose();
  }

  #evict(): void {
    while (this.sizeBytes > this.#limitBytes && this.#dropOldest());
  }

  #dropOldest(): boolean {
    const [oldest] = this.#entries;
    if (oldest) this.#drop(oldest);
    return oldest !== undefined;
  }
}

function sharedLength(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  let shared = 0;
  while (shared < most && a[shared] === b[shared]) shared++;
  return shared;
}
