/** The engine's worker really dies in a real browser, in every state: nobody waits, and the next call starts afresh. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBrowserEngine } from '../../scripts/browser-engine/browser-engine.mjs';
import { greedySampling } from '../../src/shared/sampling-settings.ts';

/** Generous: a slow machine is no failure. */
const soon = { timeout: 30_000 };

type Engine = Awaited<ReturnType<typeof openBrowserEngine>>;

let engine: Engine;
beforeAll(async () => {
  engine = await openBrowserEngine();
});
afterAll(() => engine?.close());

const input = { kind: 'text', text: 'def add(a, b):\n    return' } as const;
const generation = {
  input,
  sampling: { ...greedySampling, maxTokens: 4000, logitBias: { 2: -100 } }, // no end token: it does not end by itself
  priority: 'interactive',
  overflow: 'refuse',
  details: false,
} as const;
const died = { code: 'engine-died', message: expect.stringContaining('ended') };

/** Starts `work`, and kills the worker once `isUnderWay` says so. */
async function killDuring(work: (onProgress: () => void) => Promise<unknown>) {
  let begun = () => {};
  const isUnderWay = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const outcome = work(begun).then(
    () => 'finished',
    (error) => ({ code: error.code, message: error.message }),
  );
  await isUnderWay;
  await engine.killWorker();
  return outcome;
}

describe('the worker is terminated', () => {
  test('while the engine is off: nothing happens', async () => {
    expect(await engine.killWorker()).toBe(0);
    expect(await engine.state()).toEqual({ kind: 'off' });
  });

  test.each(['fetch', 'verify', 'compile'] as const)('in the phase "%s" of a load', async (phase) => {
    await engine.killWorkerAt(phase);
    await expect(engine.load()).rejects.toMatchObject(died);
    expect(await engine.state()).toMatchObject({ kind: 'failed', error: died });
  });

  test('while a loaded model is idle: it is known without asking', async () => {
    await engine.load();
    await engine.killWorker();
    await expect.poll(() => engine.state(), soon).toMatchObject({ kind: 'failed', error: died });
    await expect.poll(() => engine.page.getByRole('alert').innerText(), soon).toContain('ended');
  });

  test('while it generates: whoever waits is told; the call itself had started a fresh one', async () => {
    let waiting: Promise<unknown> | undefined;
    const outcome = await killDuring((onProgress) => {
      const first = engine.call('generate', generation, { onProgress });
      waiting = engine.call('generate', generation).catch((error) => error.code);
      return first;
    });
    expect(outcome).toMatchObject(died);
    expect(await waiting).toBe('engine-died');
    expect(await engine.state()).toMatchObject({ kind: 'failed' });
  });

  test('while it inspects', async () => {
    const text = 'The quick brown fox jumps over the lazy dog. '.repeat(40);
    const inspection = { input: { kind: 'text', text }, priority: 'interactive' } as const;
    const outcome = await killDuring((onProgress) => engine.call('inspect', inspection, { onProgress }));
    expect(outcome).toMatchObject(died);
  });

  test('and after all that it works', async () => {
    const { tokens } = await engine.call('encode', { input });
    expect(tokens.map(({ text }) => text).join('')).toBe(input.text);
    expect(await engine.state()).toMatchObject({ kind: 'ready' });
  });
});

describe('the worker ends by itself', () => {
  const onlyWorker = () => {
    const worker = engine.page.workers().at(-1);
    if (!worker) throw new Error('There is no worker.');
    return worker;
  };

  test('on an uncaught error, which is named', async () => {
    await engine.call('encode', { input });
    await onlyWorker().evaluate(() => {
      setTimeout(() => {
        throw new Error('boom');
      });
    });
    await expect
      .poll(() => engine.state())
      .toMatchObject({
        kind: 'failed',
        error: { code: 'engine-died', message: expect.stringContaining('boom') },
      });
  });

  test('by closing itself', async () => {
    await engine.call('encode', { input });
    await onlyWorker().evaluate(() => self.close());
    await expect.poll(() => engine.state(), soon).toMatchObject({ kind: 'failed', error: died });
  });
});
