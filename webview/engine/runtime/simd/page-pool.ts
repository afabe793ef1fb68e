/**
 * Pages of keys and values, shared by caches that count references. Pages are never given back to the platform, but
 * used again.
 */
import { AppError } from '../../../../src/shared/app-error.ts';
import type { Machine } from './machine.ts';

/** Tokens in a page. */
export const pageTokens = 32;

export interface CacheShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Bytes of a number: 4 (float32) or 2 (float16). */
  readonly numberBytes: 4 | 2;
}

export interface Page {
  readonly address: number;
  references: number;
}

export class PagePool {
  readonly shape: CacheShape;
  readonly pageBytes: number;
  readonly #machine: Machine;
  readonly #limitBytes: number;
  readonly #free: number[] = [];
  #pages = 0;
  #reclaim: () => boolean = () => false;

  constructor(machine: Machine, shape: CacheShape, limitBytes: number) {
    const { layers, kvHeads, headDim, numberBytes } = shape;
    this.#machine = machine;
    this.shape = shape;
    this.pageBytes = layers * kvHeads * pageTokens * (headDim + paddedDim(headDim)) * numberBytes;
    this.#limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return (this.#pages - this.#free.length) * this.pageBytes;
  }

  /** `reclaim` frees what can be done without and says whether there was anything; it is asked before a page is refused. */
  onFull(reclaim: () => boolean): void {
    this.#reclaim = reclaim;
  }

  /** @throws AppError `out-of-memory` past the limit, or when the platform gives no more. */
  take(): Page {
    while (this.usedBytes + this.pageBytes > this.#limitBytes && this.#reclaim());
    if (this.usedBytes + this.pageBytes > this.#limitBytes) throw this.#full();
    const free = this.#free.pop();
    if (free !== undefined) return { address: free, references: 1 };
    const address = this.#machine.allocate(this.pageBytes);
    this.#pages++;
    return { address, references: 1 };
  }

  release(page: Page): void {
    if (--page.references === 0) this.#free.push(page.address);
  }

  /** A page of one's own with the same content; gives up the reference to the old one. */
  own(page: Page): Page {
    if (page.references === 1) return page;
    const copy = this.take();
    this.#machine.bytes(copy.address, this.pageBytes).set(this.#machine.bytes(page.address, this.pageBytes));
    this.release(page);
    return copy;
  }

  #full(): AppError {
    const tokens = Math.floor(this.#limitBytes / this.pageBytes) * pageTokens;
    const limit = Math.round(this.#limitBytes / 2 ** 20);
    return new AppError(
      'out-of-memory',
      `The memory for keys and values, ${limit} MB, holds ${tokens.toLocaleString('en')} tokens. Raise the setting "Cache Limit MB", or shorten the text.`,
    );
  }
}

/** Values are stored with whole vectors of four. */
export function paddedDim(headDim: number): number {
  return Math.ceil(headDim / 4) * 4;
}
