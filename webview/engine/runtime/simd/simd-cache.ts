/** A sequence's past in pages: `fork` shares them, `crop` costs nothing, a page is copied when a sharer writes to it. */
import type { Cache } from '../../decoder.ts';
import { type Page, type PagePool, pageTokens } from './page-pool.ts';

export class SimdCache implements Cache {
  readonly #pool: PagePool;
  #pages: Page[] = [];
  #length = 0;

  constructor(pool: PagePool) {
    this.#pool = pool;
  }

  get length(): number {
    return this.#length;
  }

  get pages(): readonly Page[] {
    return this.#pages;
  }

  /** A page held by several caches is accounted for in equal parts. */
  get sizeBytes(): number {
    return this.#pages.reduce((sum, { references }) => sum + this.#pool.pageBytes / references, 0);
  }

  crop(length: number): void {
    if (!(length >= 0 && length <= this.#length))
      throw new RangeError(`A cache of ${this.#length} tokens cannot be cropped to ${length}.`);
    this.#length = length;
    for (const page of this.#pages.splice(Math.ceil(length / pageTokens))) this.#pool.release(page);
  }

  fork(): SimdCache {
    const fork = new SimdCache(this.#pool);
    fork.#pages = [...this.#pages];
    fork.#length = this.#length;
    for (const page of this.#pages) page.references++;
    return fork;
  }

  dispose(): void {
    this.crop(0);
  }

  /**
   * Makes room for `tokens` more, in pages that nobody else reads.
   * @throws AppError `out-of-memory`; the tokens held stay as they are.
   */
  reserve(tokens: number): void {
    const open = Math.floor(this.#length / pageTokens);
    const partial = this.#pages[open];
    if (partial) this.#pages[open] = this.#pool.own(partial);
    const needed = Math.ceil((this.#length + tokens) / pageTokens);
    while (this.#pages.length < needed) this.#pages.push(this.#pool.take());
  }

  /** The tokens that a run wrote to the room reserved. */
  advance(tokens: number): void {
    this.#length += tokens;
  }
}
