/** The Attention page with its real bundle in Chromium, against a scripted controller. */
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createPalette } from '../../webview/attention/heat-palette.ts';
import { launchBrowser } from './support/page-stage.ts';
import {
  type AttentionOptions,
  openAttention,
  type ScriptedAttention,
  sampleMap,
  shownState,
} from './support/scripted-attention.ts';

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

const labels = ['The', '·cat', '·sat', '↵', '·on', '<|im_end|>'];

async function open(options: Partial<AttentionOptions> = {}): Promise<ScriptedAttention> {
  panel = await openAttention(browser, { first: shownState(labels), ...options });
  return panel;
}

async function openShown(options: Partial<AttentionOptions> = {}): Promise<ScriptedAttention> {
  await open(options);
  await panel.page.locator('attention-heatmap canvas').waitFor();
  return panel;
}

const readout = () => panel.page.locator('.readout').innerText();
const called = (method: string) => panel.calls.filter((call) => call.method === method).map(({ params }) => params);

/** The middle of a cell on the screen: the plot ends at the canvas's lower right corner. */
async function middleOf(query: number, key: number): Promise<{ x: number; y: number }> {
  const canvas = panel.page.locator('attention-heatmap canvas');
  await canvas.scrollIntoViewIfNeeded();
  const box = (await canvas.boundingBox())!;
  const cell = Number(await canvas.getAttribute('data-cell'));
  const count = await panel.page.locator('.token').count();
  return { x: box.x + box.width - (count - key - 0.5) * cell, y: box.y + box.height - (count - query - 0.5) * cell };
}

describe('weights', () => {
  it('reads the tokens and the number of the cell under the mouse', async () => {
    await openShown();
    for (const [query, key, text] of [
      [2, 1, /^0\.3333\s*2 ·sat attends to 1 ·cat$/],
      [4, 3, /^0\.2667\s*4 ·on attends to 3 ↵$/],
      [3, 3, /^0\.4000\s*3 ↵ attends to itself$/],
    ] as const) {
      const { x, y } = await middleOf(query, key);
      await panel.page.mouse.move(x, y);
      await expect.poll(readout).toMatch(text);
    }
    const { x, y } = await middleOf(1, 4);
    await panel.page.mouse.move(x, y);
    await expect.poll(readout).toMatch(/^no weight\s*4 ·on comes after 1 ·cat/);
  });

  it('reads them by keyboard as well, and says them', async () => {
    await openShown();
    await panel.page.locator('.heatmap-scroller').focus();
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight']) await panel.page.keyboard.press(key);
    await expect.poll(readout).toMatch(/^0\.3333\s*2 ·sat attends to 1 ·cat$/);
    expect(await panel.page.locator('.readout').getAttribute('aria-live')).toBe('polite');
    await panel.page.keyboard.press('End');
    await expect.poll(readout).toMatch(/^0\.5000\s*2 ·sat attends to itself$/);
    await panel.page.keyboard.press('Enter');
    await expect.poll(() => called('shade')).toEqual([{ inspectionId: 1, token: 2, direction: 'attends' }]);
  });

  it('draws what has no weight unlike a weight of 0', async () => {
    const tokens = labels.length;
    const weights = sampleMap(tokens);
    weights.fill(0, 4 * tokens, 4 * tokens + 4); // row 4: all on itself
    weights[4 * tokens + 4] = 1;
    await openShown({ map: () => ({ weights, tokens }) });
    const zero = [...createPalette('dark').slice(0, 3)];
    expect(await colorsAround(4, 1)).toEqual([zero]);
    const masked = await colorsAround(1, 4);
    expect(masked).not.toContainEqual(zero);
    expect(masked.length).toBeGreaterThan(1); // hatched
    expect(await colorsAround(4, 4)).toEqual([[...createPalette('dark').slice(-3)]]);
  });

  it.each([1, 2, 1.5])('is drawn with one value a cell at %d device pixels', async (pixelRatio) => {
    await openShown();
    const session = await panel.page.context().newCDPSession(panel.page);
    await session.send('Emulation.setDeviceMetricsOverride', {
      width: 300,
      height: 900,
      deviceScaleFactor: pixelRatio,
      mobile: false,
    });
    await panel.send(shownState(labels, { head: 1 }));
    await expect
      .poll(() =>
        panel.page.locator('attention-heatmap canvas').evaluate((canvas) => {
          const { width, clientWidth } = canvas as HTMLCanvasElement;
          return Math.abs(width / clientWidth - devicePixelRatio) < 0.02;
        }),
      )
      .toBe(true);
    expect(await colorsAround(5, 0)).toHaveLength(1);
  });

  it('is drawn anew in the colours of another theme', async () => {
    await openShown();
    await panel.setTheme('light');
    await expect.poll(() => colorsAround(0, 0)).toEqual([[...createPalette('light').slice(-3)]]);
  });

  it('holds 512 tokens', async () => {
    const tokens = 512;
    const many = shownState(Array.from({ length: tokens }, (_, index) => `t${index}`));
    await openShown({ first: many, map: () => ({ weights: sampleMap(tokens), tokens }) });
    await panel.page.locator('.heatmap-scroller').focus();
    for (let i = 0; i < 51; i++) await panel.page.keyboard.press('PageDown');
    await panel.page.keyboard.press('ArrowDown');
    await panel.page.keyboard.press('End');
    await expect.poll(readout).toMatch(/^0\.0039\s*511 t511 attends to itself$/);
    const { scrollTop, scrollLeft } = await panel.page
      .locator('.heatmap-scroller')
      .evaluate(({ scrollTop, scrollLeft }) => ({ scrollTop, scrollLeft }));
    expect(Math.min(scrollTop, scrollLeft)).toBeGreaterThan(100);
  });
});

/** The different colours inside a cell, its border left out. */
async function colorsAround(query: number, key: number): Promise<number[][]> {
  const { x, y } = await middleOf(query, key);
  await panel.page.mouse.move(0, 0); // no cursor ring
  const box = (await panel.page.locator('attention-heatmap canvas').boundingBox())!;
  return panel.page.locator('attention-heatmap canvas').evaluate(
    (element, [left, top]) => {
      const canvas = element as HTMLCanvasElement;
      const ratio = canvas.width / canvas.clientWidth;
      const context = canvas.getContext('2d')!;
      const { data } = context.getImageData(Math.round((left - 8) * ratio), Math.round((top - 8) * ratio), 16, 16);
      const seen = new Map<string, number[]>();
      for (let at = 0; at < data.length; at += 4) seen.set(data.slice(at, at + 4).join(), [...data.slice(at, at + 3)]);
      return [...seen.values()];
    },
    [x - box.x, y - box.y] as const,
  );
}

describe('tokens', () => {
  it('shade what they attend to, or what attends to them, and take it back', async () => {
    await openShown();
    await panel.page.locator('.token', { hasText: '·sat' }).click();
    await expect.poll(() => called('shade')).toEqual([{ inspectionId: 1, token: 2, direction: 'attends' }]);
    await panel.send(shownState(labels, { shading: { token: 2, direction: 'attends' } }));
    const levels = () => panel.page.locator('.token').evaluateAll((all) => all.map((one) => one.dataset.level));
    await expect.poll(levels).toEqual(['8', '9', '10', '0', '0', '0']); // 1/6, 1/3, 1/2, and nothing after it
    expect(await panel.page.locator('.token').nth(1).getAttribute('title')).toBe('token 1, weight 0.3333');
    expect(await panel.page.locator('.token').nth(3).getAttribute('title')).toBe('token 3');

    await panel.page.getByLabel('what attends to it').check();
    await expect.poll(() => called('shade').at(-1)).toEqual({ inspectionId: 1, token: 2, direction: 'attended' });
    await panel.send(shownState(labels, { shading: { token: 2, direction: 'attended' } }));
    await expect.poll(levels).toEqual(['0', '0', '10', '9', '8', '8']); // 3/6, 3/10, 3/15, 3/21
    await panel.page.locator('.token', { hasText: '·sat' }).click();
    await expect.poll(() => called('clearShading')).toHaveLength(1);
  });

  it('are reached one by one with the arrow keys', async () => {
    await openShown();
    await panel.page.locator('.token').first().focus();
    for (const key of ['ArrowRight', 'ArrowRight', 'Enter']) await panel.page.keyboard.press(key);
    await expect.poll(() => called('shade')).toEqual([{ inspectionId: 1, token: 2, direction: 'attends' }]);
    await panel.page.keyboard.press('Escape');
    await expect.poll(() => called('clearShading')).toHaveLength(1);
  });

  it('are chosen on the axes: rows for what a token attends to, columns for what attends to it', async () => {
    await openShown();
    const box = (await panel.page.locator('attention-heatmap canvas').boundingBox())!;
    const { x, y } = await middleOf(4, 1);
    await panel.page.mouse.click(box.x + 10, y);
    await panel.page.mouse.click(x, box.y + 10);
    await expect
      .poll(() => called('shade'))
      .toEqual([
        { inspectionId: 1, token: 4, direction: 'attends' },
        { inspectionId: 1, token: 1, direction: 'attended' },
      ]);
  });
});

describe('heads', () => {
  it('are chosen by number, by step and on the grid', async () => {
    await openShown();
    await expect.poll(() => called('map')).toEqual([{ inspectionId: 1, stack: 0, layer: 0, head: 0 }]);
    await panel.page.getByLabel('Layer', { exact: true }).fill('99');
    await panel.page.getByLabel('Layer', { exact: true }).press('Enter');
    await expect.poll(() => called('choose').at(-1)).toEqual({ inspectionId: 1, layer: 3, head: 0 });
    await panel.page.getByRole('button', { name: 'Next head' }).click();
    await expect.poll(() => called('choose').at(-1)).toEqual({ inspectionId: 1, layer: 3, head: 1 });
    await panel.page.locator('.head-grid-box').focus();
    await panel.page.keyboard.press('ArrowUp');
    await panel.page.keyboard.press('End');
    await expect.poll(() => called('choose').at(-1)).toEqual({ inspectionId: 1, layer: 2, head: 5 });
    await expect.poll(() => panel.page.locator('.map h3').innerText()).toBe('Layer 2, head 5');
    expect(await panel.page.locator('.head-grid-box').getAttribute('aria-label')).toMatch(/^Layer 2, head 5\./);
    await panel.page.locator('.head-grid-box canvas').click({ position: { x: 40, y: 45 } });
    await expect.poll(() => called('choose').at(-1)).toEqual({ inspectionId: 1, layer: 0, head: 0 });
  });

  it('follow the controller, when a command chose another one', async () => {
    await openShown();
    await panel.send(shownState(labels, { layer: 1, head: 4 }));
    await expect.poll(() => panel.page.locator('.map h3').innerText()).toBe('Layer 1, head 4');
    expect(called('choose')).toEqual([]); // to follow is not to choose
  });

  it('come a few layers at a time, those near the one in view first', async () => {
    await openShown({ first: shownState(labels, { layer: 3 }) });
    await expect
      .poll(() => called('thumbnails'))
      .toEqual([
        { inspectionId: 1, stack: 0, layers: [3, 2], size: 6 },
        { inspectionId: 1, stack: 0, layers: [1, 0], size: 6 },
      ]);
  });
});

describe('screens', () => {
  it('says how to begin', async () => {
    await open({ first: { kind: 'empty', hint: 'Nothing is selected.' } });
    await expect.poll(() => panel.page.locator('main').innerText()).toContain('Nothing is selected.');
    await panel.page.getByText('Inspect Selection', { exact: true }).click();
    await expect.poll(() => called('inspectSelection')).toHaveLength(1);
  });

  it('shows progress that can be cancelled', async () => {
    await open({ first: { kind: 'loading', title: 'a.py, line 1', message: 'Reading the model', fraction: 0.25 } });
    expect(await panel.page.getByRole('progressbar').getAttribute('aria-valuenow')).toBe('25');
    expect(await panel.page.locator('main').innerText()).toContain('Reading the model: 25 %');
    await panel.page.getByText('Cancel', { exact: true }).click();
    await expect.poll(() => called('cancel')).toHaveLength(1);
  });

  it('says how long a text is and offers its start', async () => {
    await open({ first: { kind: 'tooLong', title: 'a.py', tokens: 12345, hasMore: true, limit: 512 } });
    expect(await panel.page.locator('main').innerText()).toContain('more than 12345 tokens; up to 512');
    await panel.page.getByText('Inspect the First 512 Tokens').click();
    await panel.page.getByText('Change the Limit').click();
    await expect.poll(() => panel.calls.map(({ method }) => method)).toEqual(['inspectFirst', 'openSettings']);
  });

  it('shows an error with Retry, and a refusal', async () => {
    const error = { code: 'engine-died' as const, message: 'The engine stopped. Run it again.' };
    await open({ first: { kind: 'failed', title: 'a.py', error } });
    expect(await panel.page.getByRole('alert').innerText()).toContain(error.message);
    await panel.page.getByText('Retry', { exact: true }).click();
    await expect.poll(() => called('retry')).toHaveLength(1);
    await panel.send({ kind: 'refused', reason: 'The attention of this model cannot be read.' });
    await expect.poll(() => panel.page.getByRole('alert').innerText()).toContain('cannot be read');
  });

  it('says when the document has changed, and shades only here', async () => {
    await openShown({ first: shownState(labels, { document: 'changed', notes: ['A note.'] }) });
    const text = await panel.page.locator('main').innerText();
    expect(text).toContain('The text was changed after this run');
    expect(text).toContain('A note.');
    expect(text).toContain('Click a token to shade, here:');
  });

  it('shows the error of a map that could not be computed', async () => {
    await open({
      map: () => {
        throw new Error('Out of memory.');
      },
    });
    await expect.poll(() => panel.page.getByRole('alert').innerText()).toContain('Out of memory.');
  });

  it('keeps the choice of scale over a reload', async () => {
    await openShown();
    await panel.page.getByLabel('Colour scale of the weights').selectOption('row');
    await panel.reload();
    await expect.poll(() => panel.page.getByLabel('Colour scale of the weights').inputValue()).toBe('row');
  });
});
