/** Caches of earlier requests: the best is found, memory stays under the limit, nothing is kept twice. */
import { expect, test } from 'vitest';
import { createRandom } from '../../../../src/shared/sampling/random.ts';
import { PrefixCache } from '../../../../webview/engine/decode/prefix-cache.ts';
import { StopScanner } from '../../../../webview/engine/decode/stop-scanner.ts';
import { NgramDecoder } from '../../support/ngram-decoder.ts';

const decoder = new NgramDecoder([], { vocabSize: 10 });

/** Runs a request to its end, as the decode loop does; returns how many tokens it reused. */
async function request(caches: PrefixCache, ids: number[]): Promise<number> {
  const { cache, reused } = caches.take(ids);
  expect(cache.length).toBe(reused);
  for (const id of ids.slice(reused)) await decoder.forward(cache, [id], { logits: 'none' });
  caches.give(cache, ids);
  return reused;
}

test('finds the longest common beginning, of prompts and answers alike', async () => {
  const caches = new PrefixCache(decoder, 1e6);
  expect(await request(caches, [1, 2, 3, 4, 5])).toBe(0);
  expect(await request(caches, [1, 2, 9])).toBe(2);
  expect(await request(caches, [1, 2, 3, 4, 7, 7])).toBe(4);
  expect(await request(caches, [1, 2, 9, 9])).toBe(3);
  expect(await request(caches, [1, 2, 3, 4, 5])).toBe(4); // the last token is always computed: it gives the logits
  expect(await request(caches, [8])).toBe(0);
});

test('keeps under the limit, the least recently used going first', async () => {
  const caches = new PrefixCache(decoder, 10_000); // ten tokens
  await request(caches, [1, 1, 1, 1]);
  await request(caches, [2, 2, 2, 2]);
  await request(caches, [1, 1, 1, 1, 1]);
  await request(caches, [3, 3, 3, 3]);
  expect(caches.sizeBytes).toBeLessThanOrEqual(10_000);
  expect(await request(caches, [1, 1, 1, 1, 1])).toBe(4);
  expect(await request(caches, [2, 2, 2, 2])).toBe(0);
});

test('keeps one of two when one holds the other', async () => {
  const caches = new PrefixCache(decoder, 1e6);
  await request(caches, [1, 2, 3]);
  await request(caches, [1, 2, 3, 4, 5]);
  await request(caches, [1, 2, 3, 4]);
  expect(caches.count).toBe(1);
});

test('leaves what is in use alone', async () => {
  const caches = new PrefixCache(decoder, 5000);
  await request(caches, [1, 2, 3, 4]);
  const first = caches.take([1, 2, 3, 4, 5]);
  const second = caches.take([1, 2, 3, 4, 6]);
  expect(first.reused).toBe(4);
  expect(second.reused).toBe(0);
  expect(second.cache).not.toBe(first.cache);
});

test('stop strings are found however the text is cut into pieces', () => {
  const random = createRandom(1).next;
  const letters = (length: number) => Array.from({ length }, () => 'abc'[Math.floor(random() * 3)]).join('');
  for (let round = 0; round < 500; round++) {
    const text = letters(40);
    const stops = [letters(1 + Math.floor(random() * 5)), letters(4)];
    const scanner = new StopScanner(stops);
    let shown = 0;
    for (let at = 0; at < text.length; ) {
      const length = 1 + Math.floor(random() * 6);
      scanner.push(text.slice(at, at + length));
      at += length;
      expect(scanner.safeLength).toBeGreaterThanOrEqual(shown);
      shown = scanner.safeLength;
      if (scanner.stopAt !== undefined) break;
    }
    scanner.end();
    // Within the piece that completes one, the first to begin counts.
    const places = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (scanner.stopAt === undefined) expect(places).toEqual([]);
    else expect(places).toContain(scanner.stopAt);
    expect(shown).toBeLessThanOrEqual(scanner.text.length);
  }
});
