/** Caches in pages: what is shared, what is copied, what is counted, what happens when memory is short. */
import { beforeEach, describe, expect, test } from 'vitest';
import { compileKernels } from '../../../../scripts/kernels.mjs';
import { Machine } from '../../../../webview/engine/runtime/simd/machine.ts';
import { PagePool, pageTokens } from '../../../../webview/engine/runtime/simd/page-pool.ts';
import { SimdCache } from '../../../../webview/engine/runtime/simd/simd-cache.ts';

const shape = { layers: 2, kvHeads: 1, headDim: 6, numberBytes: 4 } as const;
const kernels = compileKernels();

let machine: Machine;
let pool: PagePool;

async function open(pages: number): Promise<void> {
  machine = await Machine.open(await kernels);
  const { pageBytes } = new PagePool(machine, shape, 0);
  pool = new PagePool(machine, shape, pages * pageBytes);
}

beforeEach(() => open(10), 60_000); // the first compiles the kernels

/** As a run does; each page is marked by its first number. */
function append(cache: SimdCache, tokens: number, mark: number): void {
  cache.reserve(tokens);
  const open = Math.floor(cache.length / pageTokens);
  for (const { address } of cache.pages.slice(open)) machine.floats(address, 1)[0] = mark;
  cache.advance(tokens);
}

const marks = (cache: SimdCache) => cache.pages.map(({ address }) => machine.floats(address, 1)[0]);

describe('a cache', () => {
  test('has a page for every 32 tokens begun', () => {
    const cache = new SimdCache(pool);
    for (const [tokens, pages] of [
      [0, 0],
      [1, 1],
      [31, 1],
      [1, 2],
      [40, 3],
    ] as const) {
      if (tokens > 0) append(cache, tokens, 1);
      expect(cache.pages).toHaveLength(pages);
    }
    expect(cache.sizeBytes).toBe(3 * pool.pageBytes);
    // K: 6 dims, V: 8 with padding; 2 layers, 32 tokens, 4 bytes
    expect(pool.pageBytes).toBe(2 * 32 * (6 + 8) * 4);
  });

  test('gives pages back when it is cropped or disposed of, and they are used again', () => {
    const cache = new SimdCache(pool);
    append(cache, 100, 1);
    const size = machine.sizeBytes;
    cache.crop(33);
    expect([cache.length, cache.pages.length, pool.usedBytes]).toEqual([33, 2, 2 * pool.pageBytes]);
    expect(() => cache.crop(34)).toThrow(RangeError);
    cache.dispose();
    expect(pool.usedBytes).toBe(0);
    append(new SimdCache(pool), 100, 2);
    expect(machine.sizeBytes).toBe(size);
  });

  test('a fork shares all pages until one of the two writes', () => {
    const one = new SimdCache(pool);
    append(one, 40, 1);
    const other = one.fork();
    expect([other.length, pool.usedBytes]).toEqual([40, 2 * pool.pageBytes]);
    expect(one.sizeBytes + other.sizeBytes).toBe(2 * pool.pageBytes);
    append(other, 1, 2);
    expect(marks(one)).toEqual([1, 1]);
    expect(marks(other)).toEqual([1, 2]);
    expect(pool.usedBytes).toBe(3 * pool.pageBytes);
    append(one, 1, 3); // alone again on its last page: nothing to copy
    expect(pool.usedBytes).toBe(3 * pool.pageBytes);
    expect(marks(other)).toEqual([1, 2]);
    one.dispose();
    expect(marks(other)).toEqual([1, 2]);
    other.dispose();
    expect(pool.usedBytes).toBe(0);
  });

  test('a fork that was cropped into a shared page keeps what the other has', () => {
    const one = new SimdCache(pool);
    append(one, 60, 1);
    const other = one.fork();
    other.crop(10);
    append(other, 5, 2);
    expect([marks(one), marks(other)]).toEqual([[1, 1], [2]]);
  });

  test('a fork at a page border copies nothing', () => {
    const one = new SimdCache(pool);
    append(one, 64, 1);
    const other = one.fork();
    append(other, 1, 2);
    expect(pool.usedBytes).toBe(3 * pool.pageBytes);
  });
});

describe('when memory is short', () => {
  test('says how much there is and how to get more; what is held stays', async () => {
    await open(2);
    const cache = new SimdCache(pool);
    append(cache, 40, 1);
    expect(() => cache.reserve(30)).toThrow(/MB, holds 64 tokens\. Raise the setting "Cache Limit MB"/);
    expect(cache.length).toBe(40);
    append(cache, 24, 1);
    expect(cache.length).toBe(64);
  });

  test('asks for what can be done without, until there is room', async () => {
    await open(4);
    const old = [0, 1, 2].map(() => new SimdCache(pool));
    for (const cache of old) append(cache, 20, 1);
    const dropped: SimdCache[] = [];
    pool.onFull(() => {
      const cache = old.shift();
      cache?.dispose();
      if (cache) dropped.push(cache);
      return cache !== undefined;
    });
    append(new SimdCache(pool), 80, 2);
    expect(dropped).toHaveLength(2);
  });
});
