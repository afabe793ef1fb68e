/** The bundled model on several threads in a real browser that is cross-origin isolated: the same bits as on one. */
import { afterEach, expect, test } from 'vitest';
import { openBrowserEngine } from '../../scripts/browser-engine/browser-engine.mjs';
import { greedySampling } from '../../src/shared/sampling-settings.ts';

type Engine = Awaited<ReturnType<typeof openBrowserEngine>>;

const input = { kind: 'text', text: 'The quick brown fox jumps over the lazy dog. '.repeat(6) } as const;

const soon = { timeout: 20_000 };

let engine: Engine;
afterEach(() => engine?.close());

/** Log-probabilities of the 500 most probable tokens at every position, and an answer token by token. */
async function measure() {
  const { tokens } = await engine.call('encode', { input });
  const ids = tokens.map(({ id }) => id);
  const { topIds, topLogprobs } = await engine.call('score', { ids, top: 500, priority: 'interactive' });
  const { text, logprobs } = await answer();
  const bits = new Int32Array(topLogprobs.buffer, topLogprobs.byteOffset, topLogprobs.length);
  return { ids: [...topIds], bits: [...bits], text, logprobs };
}

async function answer(signal?: AbortSignal) {
  const logprobs: number[] = [];
  const { text } = await engine.call(
    'generate',
    {
      ...{ input, priority: 'interactive', overflow: 'refuse', details: true },
      sampling: { ...greedySampling, maxTokens: 24 },
    },
    {
      onProgress: (value) => {
        if (value.kind === 'tokens') logprobs.push(...value.steps.map(({ logprob }) => logprob));
      },
      ...(signal && { signal }),
    },
  );
  return { text, logprobs };
}

test('computes the same bits on two threads as on one, says so, and reads the kernels that it runs', async () => {
  engine = await openBrowserEngine({ device: 'wasm', isIsolated: true });
  expect(await engine.page.evaluate(() => crossOriginIsolated)).toBe(true);
  const kernelsRead = () =>
    engine.requests.splice(0).flatMap((address) => /[^/]*\.wasm$/.exec(new URL(address).pathname)?.[0] ?? []);

  const one = await engine.load({ threads: 1 });
  expect(one.runtimeReason).toMatch(/, one thread\.$/);
  expect(kernelsRead()).toEqual(['simd-relaxed.wasm']);
  const expected = await measure();
  expect(expected.logprobs).toHaveLength(24);

  const two = await engine.load({ threads: 2 });
  expect(two.runtimeReason).toMatch(/^Glasshead’s own kernels: .*, 2 threads\.$/);
  expect(kernelsRead()).toEqual(['simd-relaxed-threads.wasm']);
  await expect.poll(() => engine.page.workers().length, soon).toBe(2); // the engine's worker and its thread
  expect(await measure()).toEqual(expected);

  await engine.stop();
  await expect.poll(() => engine.page.workers().length, soon).toBe(0);
  expect(engine.problems).toEqual([]);
});

test('in a window that is not isolated, runs on one thread and says why when more were asked for', async () => {
  engine = await openBrowserEngine({ device: 'wasm' });
  const asked = await engine.load({ threads: 4 });
  expect(asked.runtimeReason).toMatch(/, one thread, because this window is not cross-origin isolated\.$/);
  const automatic = await engine.load({});
  expect(automatic.runtimeReason).toMatch(/, one thread\.$/);
  expect(engine.requests.filter((address) => address.includes('threads.wasm'))).toEqual([]);
  expect(await answer()).toMatchObject({ text: expect.any(String) });
});
