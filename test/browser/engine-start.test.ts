/** How the engine starts in a real browser: without the network, stopped halfway, hanging, or where it cannot run. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBrowserEngine } from '../../scripts/browser-engine/browser-engine.mjs';

/** Generous: a slow machine is no failure. */
const soon = { timeout: 30_000 };

type Engine = Awaited<ReturnType<typeof openBrowserEngine>>;
const input = { kind: 'text', text: 'Hello' } as const;

describe('with a model', () => {
  let engine: Engine;
  beforeAll(async () => {
    // Patient enough for the compilation on a slow machine, impatient enough for a test.
    engine = await openBrowserEngine({ patience: { tickMs: 1000, silentTicks: 30 } });
  });
  afterAll(() => engine?.close());

  test('says before anything is loaded what it is, and what to do', async () => {
    await expect.poll(() => engine.page.getByRole('status').innerText(), soon).toBe('Not loaded');
    expect(await engine.page.getByRole('button', { name: 'Load model' }).isVisible()).toBe(true);
  });

  test('stops loading when told to, and ends the worker', async () => {
    const loading = engine.load().catch((error) => error.code);
    await engine.page.getByRole('button', { name: 'Stop loading' }).click();
    expect(await loading).toBe('cancelled');
    expect(await engine.state()).toEqual({ kind: 'off' });
    await expect.poll(() => engine.page.workers().length, soon).toBe(0);
  });

  test('shows the progress in bytes, then the model; all by the keyboard', async () => {
    const button = engine.page.getByRole('button', { name: 'Load model' });
    await button.focus();
    await engine.page.keyboard.press('Enter');
    await engine.page.getByRole('progressbar', { name: 'Loading the model' }).waitFor();
    await expect.poll(() => engine.page.getByRole('status').innerText(), { timeout: 120_000 }).toBe('Ready');
    const fetching = engine.states.filter((state) => state.kind === 'loading' && state.phase === 'fetch');
    const done = fetching.map((state) => (state.kind === 'loading' ? (state.done ?? 0) : 0));
    expect(done.length).toBeGreaterThan(3);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    const fractions = engine.states.flatMap((state) => (state.kind === 'loading' ? [state.fraction ?? 0] : []));
    for (const fraction of fractions) expect(fraction).toBeLessThanOrEqual(1);
    const text = await engine.page.locator('model-panel').innerText();
    expect(text).toContain('SmolLM2-135M-Instruct');
    expect(text).toContain('49,152 tokens');
  });

  test('asks nobody but the extension itself: 0 network requests', async () => {
    await engine.call('encode', { input });
    const elsewhere = engine.requests.filter(
      (address) => !address.startsWith(`${engine.origin}/`) && !address.startsWith(`blob:${engine.origin}/`),
    );
    expect(elsewhere).toEqual([]);
    expect(engine.requests.length).toBeGreaterThan(8);
    expect(engine.problems).toEqual([]);
  });

  test('restarts from the view, and reads every file of the model once, and of the runtimes the one that runs', async () => {
    const before = engine.requests.length;
    await engine.page.getByRole('button', { name: 'Restart' }).click();
    await expect.poll(() => engine.state(), soon).toMatchObject({ kind: 'loading' });
    await expect.poll(() => engine.state(), { timeout: 120_000 }).toMatchObject({ kind: 'ready' });
    expect(engine.page.workers()).toHaveLength(1);
    const read = engine.requests.slice(before).filter((address) => address.startsWith(engine.origin));
    const wanted = [
      ...engine.describeLoad().files.map(({ url }) => url),
      `${engine.origin}/dist/webview/simd-relaxed.wasm`,
    ];
    expect(read.toSorted()).toEqual(wanted.toSorted());
  });

  test('finds a worker that hangs', async () => {
    const worker = engine.page.workers().at(-1);
    await worker?.evaluate(() => {
      setTimeout(() => {
        for (;;);
      });
    });
    await expect(engine.call('encode', { input })).rejects.toMatchObject({
      code: 'engine-died',
      message: expect.stringContaining('not answered for 30 s'),
    });
  });
});

describe('without SIMD', () => {
  test('says so in a sentence, and reads nothing', async () => {
    // V8 offers WebAssembly SIMD only where SSSE3 and SSE 4.1 are.
    const engine = await openBrowserEngine({ args: ['--js-flags=--no-enable-ssse3 --no-enable-sse4-1'] });
    try {
      await expect(engine.load()).rejects.toMatchObject({
        code: 'unsupported-platform',
        message: expect.stringMatching(/SIMD.*\.$/),
      });
      expect(engine.requests.filter((address) => address.includes('/model/'))).toEqual([]);
      await expect.poll(() => engine.page.getByRole('alert').innerText(), soon).toContain('SIMD');
    } finally {
      await engine.close();
    }
  });
});
