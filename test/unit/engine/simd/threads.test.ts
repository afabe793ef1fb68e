/** Several threads: the same bits as one, whatever is asked for; and no wait for a thread that is gone. */
import { afterEach, describe, expect, test } from 'vitest';
import { compileKernels, compileThreadedKernels } from '../../../../scripts/kernels.mjs';
import type { BatchItem, ForwardOptions, ForwardResult } from '../../../../webview/engine/decoder.ts';
import { readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import { Machine } from '../../../../webview/engine/runtime/simd/machine.ts';
import { openSimdDecoder } from '../../../../webview/engine/runtime/simd/open-simd-decoder.ts';
import type { SimdDecoder } from '../../../../webview/engine/runtime/simd/simd-decoder.ts';
import type { StartThread, Thread } from '../../../../webview/engine/runtime/simd/thread-pool.ts';
import { attentionFixtures, readFixture } from '../../support/attention-fixture.ts';
import { type Build, builds } from '../../support/kernels.ts';
import { startNodeThread } from '../../support/node-thread.ts';

const contextLength = 40;
const single = compileKernels();
const threaded = compileThreadedKernels();
const opened: SimdDecoder[] = [];

afterEach(async () => {
  for (const decoder of opened.splice(0)) await decoder.dispose();
});

interface Form {
  readonly build?: Build;
  readonly arithmetic?: 'int8' | 'float32';
  readonly cachePrecision?: 'float32' | 'float16';
}

async function open(name: string, threads: number, form: Form = {}, start: StartThread = startNodeThread) {
  const { build = 'relaxed', arithmetic = 'float32', cachePrecision = 'float32' } = form;
  const { graph } = readFixture(name);
  const plan = compileDecoder(readModel(graph), { contextLength });
  const kernels =
    threads === 1
      ? { [build]: (await single)[build] }
      : await Machine.openThreads({ count: threads, kernels: (await threaded)[build], start });
  const decoder = await openSimdDecoder(
    { plan, externalData: [], kernels, contextLength },
    { arithmetic, cachePrecision, cacheLimitBytes: 2 ** 26 },
  );
  opened.push(decoder);
  return decoder;
}

const promptOf = (name: string) => readFixture(name).cases.find(({ past }) => past === 0)!.inputIds;

const bits = (numbers: ArrayLike<number>) => Array.from(new Int32Array(Float32Array.from(numbers).buffer));

const bitsOf = ({ logits, taps }: ForwardResult) => ({
  logits: bits(logits),
  taps: taps.map((tap) => Object.fromEntries(Object.entries(tap).map(([name, data]) => [name, bits(data)]))),
});

/** Prefill, a long chunk, decode, a batch of forks of different lengths, taps and gates. */
async function workThrough(decoder: SimdDecoder, prompt: readonly number[]) {
  const results: unknown[] = [];
  const cache = decoder.createCache();
  const forward = async (tokens: readonly number[], options: Partial<ForwardOptions> = {}) => {
    results.push(bitsOf(await decoder.forward(cache, tokens, { logits: 'all', ...options })));
  };
  await forward(prompt);
  for (const token of prompt.slice(0, 3)) await forward([token], { logits: 'last' });
  const forks: BatchItem[] = [1, 2, 4].map((count) => ({ cache: cache.fork(), tokens: prompt.slice(0, count) }));
  for (const result of await decoder.forwardBatch(forks, { logits: 'all' })) results.push(bitsOf(result));
  const layers = Array.from({ length: decoder.layers }, (_, layer) => layer);
  const gates = Float32Array.from({ length: decoder.layers * decoder.heads }, (_, i) => (i * 7) % 3);
  cache.crop(2);
  await forward(prompt.slice(0, 5), { gates, taps: layers, tapOutputs: true });
  await forward([prompt[0]!], { gates, taps: layers, tapOutputs: true, arithmetic: 'float32' });
  const rows = Float32Array.from({ length: 2 * decoder.headDim }, (_, i) => Math.sin(i));
  const patches = [{ layer: 0, head: decoder.heads - 1, how: 'replace', at: cache.length, rows }] as const;
  const cuts = [{ query: cache.length + 1, key: 0, layers: [0, decoder.layers - 1] }] as const;
  await forward(prompt.slice(0, 3), { patches, cuts });
  await forward(prompt.slice(0, 2), { logits: 'none' });
  const long = decoder.createCache();
  const many = Array.from({ length: 32 }, (_, i) => prompt[i % prompt.length]!);
  results.push(bitsOf(await decoder.forward(long, many, { logits: 'all' })));
  return results;
}

const forms: readonly (readonly [string, Form])[] = [
  ...attentionFixtures().map((name) => [name, {}] as const),
  ...['qwen2-gqa-q4', 'mistral-gqa-q4'].map((name) => [name, { arithmetic: 'int8' }] as const),
  ['gemma3-gqa', { cachePrecision: 'float16' }],
];

describe.each(builds)('the %s build', (build) => {
  test.each(forms)('computes the same bits on 2, 3 and 4 threads as on one: %s %j', async (name, form) => {
    const prompt = promptOf(name);
    const expected = await workThrough(await open(name, 1, { build, ...form }), prompt);
    for (const threads of [2, 3, 4])
      expect(await workThrough(await open(name, threads, { build, ...form }), prompt)).toEqual(expected);
  });
});

describe('a thread that is not there', () => {
  const name = 'llama-gqa';
  const run = (decoder: SimdDecoder) => decoder.forward(decoder.createCache(), [1, 2, 3], { logits: 'last' });

  test('cannot be started: the others end, and the machine does not open', async () => {
    let ended = 0;
    const start: StartThread = (source) => {
      const thread: Thread = startNodeThread(ended === 0 && started++ === 1 ? 'throw new Error("no more");' : source);
      const end = () => {
        ended++;
        thread.end();
      };
      return { ...thread, end };
    };
    let started = 0;
    await expect(open(name, 3, {}, start)).rejects.toMatchObject({ message: expect.stringContaining('no more') });
    expect(ended).toBe(2);
  });

  test('stops on an error in the middle of a run: the run fails, and so does every one after it', async () => {
    // Its own buffers lie outside of the memory, so that it traps.
    const start: StartThread = (source) =>
      startNodeThread(source.replace('let exports;', 'let exports; imports.env.threadOffset = -65536;'));
    const decoder = await open('qwen2-gqa-q4', 2, { arithmetic: 'int8' }, start);
    await expect(run(decoder)).rejects.toMatchObject({ code: 'engine-failed' });
    await expect(run(decoder)).rejects.toMatchObject({ code: 'engine-failed' });
  }, 60_000);

  test('was killed, and nobody was told: the wait for it ends', async () => {
    const threads: ReturnType<typeof startNodeThread>[] = [];
    const start: StartThread = (source) => {
      const thread = startNodeThread(source);
      threads.push(thread);
      return thread;
    };
    const decoder = await open(name, 2, {}, start);
    await run(decoder);
    await threads[0]!.worker.terminate();
    await expect(run(decoder)).rejects.toMatchObject({
      code: 'engine-failed',
      message: expect.stringContaining('set "Threads" to 1'),
    });
  }, 60_000);

  test('ends with the decoder', async () => {
    const threads: ReturnType<typeof startNodeThread>[] = [];
    const decoder = await open(name, 3, {}, (source) => {
      const thread = startNodeThread(source);
      threads.push(thread);
      return thread;
    });
    const exits = threads.map(({ worker }) => new Promise((resolve) => worker.once('exit', resolve)));
    await decoder.dispose();
    await Promise.all(exits);
  });
});
