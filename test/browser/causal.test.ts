/** Causal tests through the whole engine with the bundled model, and their card in the Attention panel. */
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openBrowserEngine } from '../../scripts/browser-engine/browser-engine.mjs';
import type { HeadTest } from '../../src/shared/attention-contract.ts';
import type { CausalRecord } from '../../src/shared/causal-contract.ts';
import { launchBrowser } from './support/page-stage.ts';
import {
  type AttentionOptions,
  openAttention,
  type ScriptedAttention,
  shownState,
} from './support/scripted-attention.ts';

describe('the engine', () => {
  let engine: Awaited<ReturnType<typeof openBrowserEngine>>;
  beforeAll(async () => {
    engine = await openBrowserEngine({ device: 'wasm' });
    await engine.load();
  }, 300_000);
  afterAll(() => engine?.close());

  const request = {
    input: { kind: 'text', text: 'The quick brown fox jumps over the lazy' },
    measure: { kind: 'kl' },
    control: { sets: 8, seed: 1 },
    priority: 'interactive',
  } as const;

  it('ranks heads as single tests do, with a control and progress', async () => {
    const heads = [3, 4, 5].map((head) => ({ layer: 7, head }));
    const seen: number[] = [];
    const operation = { kind: 'zero', positions: 'last' } as const;
    const ranking = await engine.call(
      'rankHeads',
      { ...request, operation, heads },
      { onProgress: ({ done }) => seen.push(done) },
    );
    expect(ranking.runtime).toBe('simd');
    expect(seen.length).toBeGreaterThan(1);
    expect(ranking.entries).toHaveLength(3);
    for (const { layer, head, changed, effect, control } of ranking.entries) {
      const single = await engine.call('causalTest', {
        ...request,
        operation: { ...operation, heads: [{ layer, head }] },
      });
      expect({ changed, effect, control }).toEqual({
        changed: single.changed,
        effect: single.effect,
        control: single.control,
      });
      expect(effect).toBeGreaterThan(0);
      expect(control.effects).toHaveLength(8);
    }
  }, 60_000);

  it('stops a ranking of all heads and answers the next request', async () => {
    const controller = new AbortController();
    const operation = { kind: 'zero', positions: 'all' } as const;
    const before = (await engine.call('stats', undefined)).forwardedTokens;
    const ranking = engine.call(
      'rankHeads',
      { ...request, operation },
      { signal: controller.signal, onProgress: ({ done, total }) => void (done > total / 50 && controller.abort()) },
    );
    await expect(ranking).rejects.toMatchObject({ code: 'cancelled' });
    const tokens = (await engine.call('encode', { input: request.input })).tokens.length;
    expect((await engine.call('stats', undefined)).forwardedTokens - before).toBeLessThan(tokens * 100);
  }, 60_000);

  it('refuses a head that there is not, with the way on', async () => {
    const operation = { kind: 'zero', positions: 'all', heads: [{ layer: 30, head: 0 }] } as const;
    const wrong = engine.call('causalTest', { ...request, operation: { ...operation, heads: [...operation.heads] } });
    await expect(wrong).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining('0 to 29') });
  });
});

describe('the card', () => {
  let browser: Browser;
  let panel: ScriptedAttention;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());
  afterEach(async () => {
    expect(panel.faults).toEqual([]);
    await panel.close();
  });

  const labels = ['The', '·quick', '·brown', '·fox'];
  const shaded = shownState(labels, { layer: 3, head: 4, shading: { token: 2, direction: 'attends' } });
  const record = (changed: number, effects: number[]): CausalRecord => ({
    ...{ kind: 'causal-test', modelId: 'm', runtime: 'simd', arithmetic: 'float32', tokens: [1, 2, 3], at: 2 },
    ...{ measure: { kind: 'probability', token: 4 }, direction: 'changed - original', original: 0.42 },
    ...{
      operation: { kind: 'zero', heads: [{ layer: 3, head: 4 }], positions: 'all' },
      changed,
      effect: changed - 0.42,
    },
    control: { sets: 8, seed: 1, effects, ...(effects.length > 0 && { mean: -0.012, low: -0.2, high: 0.15 }) },
  });
  const found: HeadTest = {
    ...{ layer: 3, head: 4, token: 2, target: '·fox', isInText: true },
    ...{ zero: record(0.31, new Array(8).fill(0)), mean: record(0.4, new Array(8).fill(0)) },
  };

  const open = async (options: Partial<AttentionOptions> = {}) => {
    panel = await openAttention(browser, { first: shaded, ...options });
    await panel.page.locator('attention-causal-card').waitFor();
  };
  const card = () => panel.page.locator('attention-causal-card');
  const text = async () => (await card().innerText()).replaceAll(/\s+/g, ' ');
  const press = (name: string) => card().getByRole('button', { name }).click();

  it('says what the prediction loses beside what other heads do, and claims no more', async () => {
    await open({ testHead: () => found });
    expect(await text()).toContain('Compares the prediction behind ·brown with and without this head.');
    await press('Test this Head');
    await expect
      .poll(text)
      .toContain(
        'Without head 3.4: probability of ·fox 0.42 → 0.31; 8 random heads of this layer: −0.0120 (−0.20 to +0.15).',
      );
    expect(await text()).toContain('With its mean over this text instead: 0.42 → 0.40;');
    expect(await text()).toContain('A lower bound: other heads may take over.');
    expect(await text()).not.toMatch(/because/i);
    expect(panel.calls.filter(({ method }) => method === 'testHead').map(({ params }) => params)).toEqual([
      { inspectionId: 1, layer: 3, head: 4, token: 2 },
    ]);
    await panel.send({ ...shaded, head: 5 });
    await expect.poll(text).not.toContain('Without head');
  });

  it('says that there are no other heads, and which token is not of the text', async () => {
    await open({ testHead: () => ({ ...found, isInText: false, zero: record(0.00001, []), mean: record(0.4, []) }) });
    await press('Test this Head');
    await expect.poll(text).toContain('probability of ·fox, the most probable next token, 0.42 → <0.0001;');
    expect(await text()).toContain('no other heads to compare with');
  });

  it('needs a shaded token', async () => {
    await open({ first: shownState(labels) });
    expect(await text()).toContain('Click a token to shade it');
    expect(
      await card()
        .locator('vscode-button')
        .evaluate((button) => (button as HTMLButtonElement).disabled),
    ).toBe(true);
  });

  it('can be cancelled, and shows what went wrong', async () => {
    let signal: AbortSignal | undefined;
    const wait = (_: unknown, context: { signal: AbortSignal }) => {
      signal = context.signal;
      return new Promise<HeadTest>(() => {});
    };
    await open({ testHead: wait });
    await press('Test this Head');
    await expect.poll(text).toContain('Testing head 3.4');
    await press('Cancel');
    await expect.poll(() => signal?.aborted).toBe(true);
    expect(await text()).not.toContain('Testing');
    await panel.close();
    await open();
    await press('Test this Head');
    await expect.poll(text).toContain('No test is scripted.');
  });

  it.each(['dark', 'light', 'high-contrast'] as const)('fits 300 pixels: %s', async (theme) => {
    await open({ testHead: () => found, theme });
    await press('Test this Head');
    await expect.poll(text).toContain('Without head');
    const isInside = await card().evaluate((element) => element.scrollWidth <= document.documentElement.clientWidth);
    expect(isInside).toBe(true);
    const folder = process.env.GLASSHEAD_PICTURES;
    if (folder) await card().screenshot({ path: `${folder}/causal-${theme}.png` });
  });
});
