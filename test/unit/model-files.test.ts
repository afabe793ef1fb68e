/** How a model's files come from the Model page to the worker: both ends, over a Port in memory; only `fetch` is scripted. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { chunkBytes, type FileContract, fileContract, type LoadProgress } from '../../src/shared/engine-contract.ts';
import { type Contract, Peer } from '../../src/shared/peer.ts';
import { readThrough } from '../../webview/engine/read-file.ts';
import { ChunkFiller } from '../../webview/model/chunk-filler.ts';
import { createHashCheck } from '../../webview/model/hash-check.ts';
import { serveModelFiles } from '../../webview/model/model-files.ts';
import { createPortPair } from './support/port-pair.ts';

const megabyte = 2 ** 20;
const bytesOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
const inPieces = (bytes: Uint8Array, size: number) =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Address -> the pieces in which the network delivers a file, and what comes after them. */
interface Delivery {
  readonly pieces: readonly Uint8Array[];
  readonly ending?: 'hangs' | 'breaks';
  readonly status?: number;
}
const web = new Map<string, Delivery>();
let requested: string[] = [];
/** How many pieces the network gave, and whether it was told to stop. */
let pulled = 0;
let isStopped = false;

function deliver({ pieces, ending, status = 200 }: Delivery, signal: AbortSignal): Response {
  let next = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      start: (controller) => signal.addEventListener('abort', () => controller.error(signal.reason)),
      pull: async (controller) => {
        await new Promise(setImmediate); // messages get their turn, as beside a real network
        const piece = pieces[next++];
        if (piece) {
          pulled++;
          controller.enqueue(piece.slice());
        } else if (ending === 'breaks') controller.error(new Error('connection reset'));
        else if (ending === 'hangs') await new Promise(() => {});
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(stream, { status });
}

beforeEach(() => {
  web.clear();
  requested = [];
  pulled = 0;
  isStopped = false;
  vi.stubGlobal('fetch', async (address: string, { signal }: { signal: AbortSignal }) => {
    requested.push(address);
    signal.addEventListener('abort', () => {
      isStopped = true;
    });
    const delivery = web.get(address);
    if (!delivery) throw new TypeError('Failed to fetch');
    return deliver(delivery, signal);
  });
});
afterEach(() => vi.unstubAllGlobals());

interface Described {
  readonly path: string;
  readonly sizeBytes?: number;
  readonly sha256?: string;
  readonly chunksSha256?: string;
}

/** The page with these files, and the worker that reads through it. */
function connect(files: readonly Described[], onChunk: (size: number) => void = () => {}) {
  const reports: LoadProgress[] = [];
  const given: ArrayBuffer[] = [];
  const { left, right } = createPortPair((message, transfer = []) => {
    for (const buffer of transfer) given.push(buffer as ArrayBuffer);
    const copy = structuredClone(message, { transfer });
    const { kind, value } = copy as { kind: string; value?: { chunk: ArrayBuffer } };
    if (kind === 'progress') onChunk(value!.chunk.byteLength);
    return copy;
  });
  const handlers = serveModelFiles({
    files: files.map((file) => ({ ...file, url: `web/${file.path}` })),
    distUrl: 'dist',
    onProgress: (report) => reports.push(report),
  });
  const page = new Peer<FileContract, Contract>({ port: left, serves: fileContract, calls: {}, handlers });
  const worker = new Peer({ port: right, serves: {}, calls: fileContract, handlers: {} });
  const stop = new AbortController();
  return { page, stop, reports, given, readFile: readThrough(worker, stop.signal) };
}

/** SHA-256 of the chunks' own, by Node. */
const chunksHashOf = (bytes: Uint8Array) =>
  hashOf(Buffer.concat(inPieces(bytes, chunkBytes).map((chunk) => Buffer.from(hashOf(chunk), 'hex'))));

const model = (path: string) => ({ folder: 'model', path }) as const;

describe('a file arrives', () => {
  const large = bytesOf(9 * megabyte + 12_345);
  const small = bytesOf(1000);

  it.each([
    ['in small pieces', large, 60_000],
    ['in pieces larger than a chunk', large, 5 * megabyte],
    ['as one piece', large, large.length],
    ['small', small, 300],
    ['empty', small.subarray(0, 0), 1],
  ])('%s', async (_, bytes, size) => {
    web.set('web/a', { pieces: inPieces(bytes, size) });
    const sizes: number[] = [];
    const hashes = { sha256: hashOf(bytes), chunksSha256: chunksHashOf(bytes) };
    const { readFile, given } = connect([{ path: 'a', sizeBytes: bytes.length, ...hashes }], (length) =>
      sizes.push(length),
    );
    const file = await readFile(model('a'));
    expect(hashOf(file.whole())).toBe(hashOf(bytes));
    expect(sizes.slice(0, -1)).toEqual(sizes.slice(0, -1).map(() => chunkBytes));
    expect(given, 'buffers that were given away').toHaveLength(sizes.length);
    expect(given.filter(({ byteLength }) => byteLength > 0)).toEqual([]);
  });

  it('while the rest is still on its way', async () => {
    web.set('web/a', { pieces: inPieces(large, megabyte), ending: 'hangs' });
    let count = 0;
    const arrived = new Promise<void>((resolve) => {
      const { readFile } = connect([{ path: 'a' }], () => ++count === 2 && resolve());
      void readFile(model('a'));
    });
    await arrived;
  });

  it('without a size or a hash that could be checked', async () => {
    web.set('web/a', { pieces: [small] });
    expect((await connect([{ path: 'a' }]).readFile(model('a'))).whole()).toEqual(small);
  });

  it('beside another', async () => {
    web.set('web/a', { pieces: inPieces(large, 100_000) });
    web.set('web/b', { pieces: inPieces(large.toReversed(), 70_000) });
    const { readFile } = connect([{ path: 'a' }, { path: 'b' }]);
    const [a, b] = await Promise.all([readFile(model('a')), readFile(model('b'))]);
    expect([hashOf(a.whole()), hashOf(b.whole())]).toEqual([hashOf(large), hashOf(large.toReversed())]);
  });

  it('with its progress in bytes of all files', async () => {
    web.set('web/x/a', { pieces: inPieces(small, 500) });
    web.set('web/b', { pieces: [small] });
    web.set('dist/ort.wasm', { pieces: [small] });
    const { readFile, reports } = connect([
      { path: 'x/a', sizeBytes: 1000, sha256: hashOf(small) },
      { path: 'b', sizeBytes: 1000 },
    ]);
    await readFile(model('x/a'));
    await readFile(model('b'));
    await readFile({ folder: 'runtime', path: 'ort.wasm' });
    expect(reports.map(({ phase, done, total, message }) => `${phase} ${done}/${total} ${message}`)).toEqual([
      'fetch 0/2000 Reading a',
      'fetch 500/2000 Reading a',
      'fetch 1000/2000 Reading a',
      'verify 1000/2000 Checking a',
      'fetch 1000/2000 Reading b',
      'fetch 2000/2000 Reading b',
      'fetch 2000/2000 Reading ort.wasm',
      'fetch 3000/3000 Reading ort.wasm',
    ]);
  });
});

describe('a file is refused', () => {
  const bytes = bytesOf(1000);
  const whole = { path: 'onnx/a', sizeBytes: 1000, sha256: hashOf(bytes) };

  it.each([
    ['is missing', { pieces: [], status: 404 }],
    ['cannot be read (status 500)', { pieces: [], status: 500 }],
    ['cannot be read (TypeError: Failed to fetch)', undefined],
    ['is truncated: 999 of 1,000 bytes', { pieces: [bytes.subarray(1)] }],
    ['is truncated: 0 of 1,000 bytes', { pieces: [] }],
    ['is longer than the 1,000 bytes it should have', { pieces: [bytes, bytes] }],
    ['could not be read to its end (Error: connection reset)', { pieces: [bytes], ending: 'breaks' }],
    ['has been altered', { pieces: [bytes.with(500, 7)] }],
    ['has been altered', { pieces: [bytes.with(999, 7)] }],
    ['has been altered', { pieces: [bytes.with(500, 7)] }, { chunksSha256: chunksHashOf(bytes) }],
  ] as [string, Delivery | undefined, object | undefined][])('that %s', async (says, delivery, more) => {
    if (delivery) web.set('web/onnx/a', delivery);
    const failed = connect([{ ...whole, ...more }]).readFile(model('onnx/a'));
    await expect(failed).rejects.toMatchObject({
      code: 'model-damaged',
      message: expect.stringMatching(/^The model file onnx\/a .*reload\.$/),
    });
    await expect(failed).rejects.toThrow(says);
  });

  it('that the model does not have: nothing is fetched', async () => {
    await expect(connect([whole]).readFile(model('b'))).rejects.toThrow('The model file b is missing');
    expect(requested).toEqual([]);
  });

  it('that the extension does not have', async () => {
    web.set('dist/simd.wasm', { pieces: [], status: 404 });
    const failed = connect([]).readFile({ folder: 'runtime', path: 'simd.wasm' });
    await expect(failed).rejects.toThrow('The file simd.wasm of Glasshead is missing. Reinstall the extension.');
    const other = connect([]).readFile({ folder: 'runtime', path: '../extension.js' as never });
    await expect(other).rejects.toMatchObject({ code: 'protocol' });
    expect(requested).toEqual(['dist/simd.wasm']);
  });

  it('of which a chunk was lost between page and worker', async () => {
    const lossy = readThrough({ call: async () => ({ sizeBytes: 1000 }) as never }, new AbortController().signal);
    const message = expect.stringContaining('Only 0 of 1000 bytes of a arrived');
    await expect(lossy(model('a'))).rejects.toMatchObject({ code: 'protocol', message });
  });
});

describe('reading stops in the middle', () => {
  const pieces = Array.from({ length: 40 }, () => bytesOf(megabyte));

  it.each(['when the worker cancels', 'when the worker is gone'])('%s', async (who) => {
    web.set('web/a', { pieces });
    const { page, stop, readFile } = connect([{ path: 'a' }], () =>
      who.endsWith('gone') ? page.close() : stop.abort(),
    );
    const outcome = readFile(model('a')).catch(({ code }) => code);
    if (!who.endsWith('gone')) expect(await outcome).toBe('cancelled');
    await expect.poll(() => isStopped).toBe(true);
    expect(page.runningCount).toBe(0);
    expect(pulled).toBeLessThan(pieces.length);
  });

  it('when it was cancelled before: nothing is fetched', async () => {
    const { stop, readFile } = connect([{ path: 'a' }]);
    stop.abort();
    await expect(readFile(model('a'))).rejects.toMatchObject({ code: 'cancelled' });
    expect(requested).toEqual([]);
  });
});

describe('a hash', () => {
  const text = (content: string, repeat = 1) => new TextEncoder().encode(content.repeat(repeat));
  /** FIPS 180-4, examples of SHA-256, from csrc.nist.gov. */
  const published = [
    ['nothing', text(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', text('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    ['a million times a', text('a', 1_000_000), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
  ] as const;
  const isRight = async (expected: Parameters<typeof createHashCheck>[0], bytes: Uint8Array, size: number) => {
    const check = createHashCheck(expected);
    for (const piece of inPieces(bytes, size)) await check!.add(new Uint8Array(piece).buffer);
    return check!.isRight();
  };

  it.each(published)('of %s is the published one, however it comes', async (_, bytes, sha256) => {
    for (const size of [1 + bytes.length, 63, 64, 65])
      expect(await isRight({ sha256 }, bytes, size), `in pieces of ${size}`).toBe(true);
    expect(await isRight({ sha256 }, new Uint8Array([...bytes, 0]), 64)).toBe(false);
  });

  it('of chunks goes by their contents and their order', async () => {
    const [a, b] = [bytesOf(chunkBytes), bytesOf(chunkBytes).reverse()];
    const both = Buffer.concat([a, b]);
    const chunksSha256 = chunksHashOf(both);
    expect(await isRight({ chunksSha256, sha256: 'not looked at' }, both, chunkBytes)).toBe(true);
    expect(await isRight({ chunksSha256 }, Buffer.concat([b, a]), chunkBytes)).toBe(false);
    expect(await isRight({ chunksSha256 }, a, chunkBytes)).toBe(false);
  });

  it('that nobody knows is not checked', () => {
    expect(createHashCheck({})).toBeUndefined();
  });
});

it('chunks are of one size but for the last', () => {
  const filler = new ChunkFiller(4);
  const all = [1, 2, 3, 9, 0, 4].map((length) => [...filler.add(new Uint8Array(length).fill(length))]);
  const chunks = [...all.flat(), ...filler.finish(), ...filler.finish()].map((chunk) => [...new Uint8Array(chunk)]);
  expect(chunks).toEqual([
    [1, 2, 2, 3],
    [3, 3, 9, 9],
    [9, 9, 9, 9],
    [9, 9, 9, 4],
    [4, 4, 4],
  ]);
});
