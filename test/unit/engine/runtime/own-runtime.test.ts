/** Our own runtime on several threads: says how many, and leaves none behind when the model does not open. */
import { expect, test } from 'vitest';
import { compileKernels, compileThreadedKernels } from '../../../../scripts/kernels.mjs';
import { readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { openOwnRuntime } from '../../../../webview/engine/runtime/own-runtime.ts';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import { readFixture } from '../../support/attention-fixture.ts';
import { startNodeThread } from '../../support/node-thread.ts';

/** The runtime, and for each of its threads a promise that resolves when it has ended. */
function open(signal?: AbortSignal) {
  const ends: Promise<unknown>[] = [];
  const start = (source: string) => {
    const thread = startNodeThread(source);
    ends.push(new Promise((resolve) => thread.worker.once('exit', resolve)));
    return thread;
  };
  const runtime = openOwnRuntime(
    {
      plan: compileDecoder(readModel(readFixture('llama-gqa').graph), { contextLength: 32 }),
      externalData: [],
      config: { max_position_embeddings: 32 },
      kernels: {
        relaxed: async () => (await compileKernels()).relaxed.buffer,
        plain: async () => (await compileKernels()).plain.buffer,
        relaxedThreads: async () => (await compileThreadedKernels()).relaxed.buffer,
        plainThreads: async () => (await compileThreadedKernels()).plain.buffer,
      },
    },
    {
      threads: 3,
      platform: { cores: 4, isIsolated: true, start },
      cacheLimitBytes: 2 ** 24,
      onProgress: () => {},
      ...(signal && { signal }),
    },
  );
  return { runtime, ends };
}

test('computes on as many threads as it says, and ends them when the model is unloaded', async () => {
  const { runtime, ends } = open();
  const { decoder, runtimeReason } = await runtime;
  expect(runtimeReason).toMatch(/, 3 threads\.$/);
  expect(ends).toHaveLength(2);
  const { logits } = await decoder.forward(decoder.createCache(), [1, 2, 3], { logits: 'last' });
  expect(logits).toHaveLength(decoder.vocabSize);
  await decoder.dispose();
  await Promise.all(ends);
}, 60_000);

test('ends its threads when the load is cancelled', async () => {
  const { runtime, ends } = open(AbortSignal.abort());
  await expect(runtime).rejects.toMatchObject({ code: 'cancelled' });
  expect(ends).toHaveLength(2);
  await Promise.all(ends);
}, 60_000);
