import { describe, expect, it } from 'vitest';
import { ByteFile } from '../../../webview/engine/byte-file.ts';

const contents = Uint8Array.from({ length: 10 }, (_, i) => 100 + i);

/** The contents above, cut into chunks of these sizes. */
function cutInto(...sizes: number[]) {
  const chunks: ArrayBuffer[] = [];
  let at = 0;
  for (const size of sizes) {
    chunks.push(contents.slice(at, at + size).buffer);
    at += size;
  }
  return { chunks, file: new ByteFile(chunks) };
}

const cuts = [[10], [4, 4, 2], [1, 9], [3, 0, 7], [0, 10], [10, 0], Array.from(contents, () => 1)];

describe.each(cuts.map((sizes) => [sizes.join(' + '), sizes] as const))('a file of %s bytes', (_, sizes) => {
  it('reads every range', () => {
    const { file } = cutInto(...sizes);
    expect(file.sizeBytes).toBe(10);
    for (let start = 0; start <= 10; start++)
      for (let end = start; end <= 10; end++)
        expect(file.read(start, end - start), `${start} to ${end}`).toEqual(contents.slice(start, end));
  });

  it('is joined, and reads on', () => {
    const { chunks, file } = cutInto(...sizes);
    const joined = file.whole();
    expect(joined).toEqual(contents);
    expect(file.whole().buffer).toBe(joined.buffer);
    expect(file.read(3, 5)).toEqual(contents.slice(3, 8));
    if (sizes.length === 1) expect(joined.buffer).toBe(chunks[0]);
  });
});

it('gives a view inside a chunk, a copy across two', () => {
  const { chunks, file } = cutInto(4, 4, 2);
  const inside = file.read(5, 3);
  expect([inside.buffer, inside.byteOffset]).toEqual([chunks[1], 1]);
  expect(chunks).not.toContain(file.read(3, 2).buffer);
});

it('is empty without chunks', () => {
  const file = new ByteFile([]);
  expect([file.sizeBytes, file.whole().length, file.read(0, 0).length]).toEqual([0, 0, 0]);
});

it.each([
  [0, 11],
  [10, 1],
  [11, 0],
  [-1, 2],
  [0, -1],
  [0.5, 1],
  [Number.NaN, 1],
  [0, Number.POSITIVE_INFINITY],
  [Number.MAX_SAFE_INTEGER, 1],
])('refuses %d + %d of 10 bytes', (offset, length) => {
  expect(() => cutInto(4, 6).file.read(offset, length)).toThrow(
    expect.objectContaining({ code: 'model-damaged', message: expect.stringMatching(/Copy .* again/) }),
  );
});

describe('releasing', () => {
  it.each([
    [0, 0],
    [3, 0],
    [4, 1],
    [7, 1],
    [9, 2],
    [10, 3],
    [99, 3],
  ])('up to byte %d gives %d chunks back', (upTo, count) => {
    const { chunks, file } = cutInto(4, 4, 2);
    file.release(upTo);
    const canTransfer = 'transfer' in ArrayBuffer.prototype;
    if (canTransfer) expect(chunks.filter(({ byteLength }) => byteLength === 0)).toHaveLength(count);
    const kept = [4, 8, 10].slice(0, count).at(-1) ?? 0;
    expect(file.read(kept, 10 - kept)).toEqual(contents.slice(kept));
    const gone = expect.objectContaining({ code: 'engine-failed' });
    if (kept > 0) expect(() => file.read(kept - 1, 1)).toThrow(gone);
    if (kept > 0) expect(() => file.whole()).toThrow(gone);
    expect(file.sizeBytes).toBe(10);
  });

  it('in steps frees nothing twice', () => {
    const { file } = cutInto(4, 4, 2);
    file.release(4);
    file.release(8);
    expect(file.read(8, 2)).toEqual(contents.slice(8));
  });
});

describe('a file of bytes', () => {
  it('takes their buffer where it has nothing else', () => {
    const own = contents.slice();
    expect(ByteFile.of(own).whole().buffer).toBe(own.buffer);
  });

  it.each([
    ['a view', contents.subarray(2, 5)],
    ['a Buffer of the pool', Buffer.from(contents.subarray(2, 5))],
  ])('copies %s', (_, bytes) => {
    const file = ByteFile.of(bytes);
    expect(file.whole()).toEqual(contents.slice(2, 5));
    expect(file.whole().buffer).not.toBe(bytes.buffer);
  });
});
