/** The Attention page with models that have several attentions, or read pictures, against a scripted controller. */
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ShownState } from '../../src/shared/attention-contract.ts';
import { launchBrowser } from './support/page-stage.ts';
import {
  type AttentionOptions,
  openAttention,
  type ScriptedAttention,
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

const shape = { layers: 2, heads: 3, kvHeads: 3 };
const source = ['·the', '·cat', '·sat', '</s>'];
const answer = ['<pad>', '·die', '·Katze'];

const translated: Partial<ShownState> = {
  title: 'notes.txt, line 3',
  target: shownState(answer).tokens,
  stacks: [
    { name: 'encoder', isCausal: false, ...shape, queries: 'source', keys: 'source' },
    { name: 'decoder', isCausal: true, ...shape, queries: 'target', keys: 'target' },
    { name: 'cross', isCausal: false, ...shape, heads: 2, kvHeads: 2, queries: 'target', keys: 'source' },
  ],
  ...shape,
};

/** Row q of a map of `keys` columns gives key k the share (k + 1) of 1 + 2 + ... + keys. */
function fullMap(tokens: number, keys: number) {
  const sum = (keys * (keys + 1)) / 2;
  const weights = Float32Array.from({ length: tokens * keys }, (_, i) => ((i % keys) + 1) / sum);
  return { weights, tokens, keys, isBidirectional: true };
}

function mapOf({ stack }: { readonly stack: number }) {
  if (stack === 1) return { weights: Float32Array.of(1, 0, 0, 0.5, 0.5, 0, 0.25, 0.25, 0.5), tokens: 3 };
  return stack === 0 ? fullMap(4, 4) : fullMap(3, 4);
}

async function openTranslation(change: Partial<ShownState> = {}, options: Partial<AttentionOptions> = {}) {
  panel = await openAttention(browser, {
    first: shownState(source, { ...translated, ...change }),
    map: mapOf,
    ...options,
  });
  await panel.page.locator('attention-heatmap canvas').waitFor();
  return panel.page;
}

const side = 4;
const patches = ['[CLS]', ...Array.from({ length: side * side }, (_, i) => `${Math.floor(i / side)},${i % side}`)];
const pictured: Partial<ShownState> = {
  title: 'cat.png',
  document: 'none',
  tokens: shownState(patches).tokens.map((token, index) => ({ ...token, isSpecial: index === 0 })),
  picture: { width: 32, height: 32, rows: side, columns: side, firstPatch: 1 },
  stacks: [{ name: 'encoder', isCausal: false, ...shape, queries: 'source', keys: 'source' }],
  ...shape,
};

async function openPicture(change: Partial<ShownState> = {}, options: Partial<AttentionOptions> = {}) {
  const first = shownState([], { ...pictured, ...change });
  panel = await openAttention(browser, { first, map: () => fullMap(17, 17), ...options });
  await panel.page.locator('attention-heatmap canvas').waitFor();
  return panel.page;
}

const called = (method: string) => panel.calls.filter((call) => call.method === method).map(({ params }) => params);
const readout = () => panel.page.locator('.readout').innerText();

describe('tabs', () => {
  it('stand for the attentions of the model, and move by mouse and keyboard', async () => {
    const page = await openTranslation();
    const tabs = page.getByRole('tab');
    expect(await tabs.allInnerTexts()).toEqual(['Encoder', 'Decoder', 'Cross']);
    expect(await page.getByRole('tabpanel').getAttribute('aria-labelledby')).toBe('stack-tab-0');
    await tabs.nth(1).click();
    await expect.poll(() => page.getByRole('tab', { selected: true }).innerText()).toBe('Decoder');
    await page.keyboard.press('ArrowRight');
    await expect.poll(() => page.getByRole('tab', { selected: true }).innerText()).toBe('Cross');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Cross');
    await page.keyboard.press('ArrowRight');
    await expect.poll(() => page.getByRole('tab', { selected: true }).innerText()).toBe('Encoder');
    expect(called('chooseStack')).toEqual([1, 2, 0].map((stack) => ({ inspectionId: 1, stack })));
    await expect.poll(() => called('map').map((params) => (params as { stack: number }).stack)).toEqual([0, 1, 2, 0]);
  });

  it('are not there for a model with one attention', async () => {
    const page = await openPicture();
    expect(await page.getByRole('tab').count()).toBe(0);
    expect(await page.getByRole('tabpanel').count()).toBe(0);
  });

  it('ask for the heads of the attention in view only', async () => {
    const page = await openTranslation();
    await page.getByRole('tab').nth(2).click();
    await expect.poll(() => called('thumbnails').at(-1)).toMatchObject({ stack: 2, layers: [0, 1] });
    expect(await page.getByLabel('Head', { exact: true }).getAttribute('max')).toBe('1');
  });
});

describe('maps that are not causal', () => {
  it('have a weight in every cell', async () => {
    const page = await openTranslation();
    await page.locator('.heatmap-scroller').focus();
    for (const key of ['ArrowRight', 'ArrowRight', 'ArrowRight']) await page.keyboard.press(key);
    await expect.poll(readout).toMatch(/^0\.4000\s*0 ·the attends to 3 <\/s>$/);
    expect(await page.locator('.legend').innerText()).not.toContain('No weight');
    await page.keyboard.press('Home');
    await expect.poll(readout).toMatch(/^0\.1000\s*0 ·the attends to itself$/);
    await page.keyboard.press('End');
    await expect.poll(readout).toMatch(/to 3 <\/s>$/);
  });

  it('of cross attention have a row a query and a column a key', async () => {
    const page = await openTranslation({ stack: 2, ...shape, heads: 2 });
    const canvas = page.locator('attention-heatmap canvas');
    const box = (await canvas.boundingBox())!;
    const cell = Number(await canvas.getAttribute('data-cell'));
    await page.mouse.move(box.x + box.width - 0.5 * cell, box.y + box.height - 0.5 * cell);
    await expect.poll(readout).toMatch(/^0\.4000\s*2 ·Katze attends to 3 <\/s>$/);
    await page.mouse.move(box.x + box.width - 3.5 * cell, box.y + box.height - 2.5 * cell);
    await expect.poll(readout).toMatch(/^0\.1000\s*0 <pad> attends to 0 ·the$/);
    await page.locator('.heatmap-scroller').focus();
    for (let i = 0; i < 9; i++) await page.keyboard.press('ArrowDown');
    await expect.poll(readout).toMatch(/2 ·Katze attends to 0 ·the$/);
  });
});

describe('thumbnails', () => {
  /** Colours of the first one: below and above its diagonal. */
  const corners = (canvas: Element) => {
    const { width, height } = canvas as HTMLCanvasElement;
    const context = (canvas as HTMLCanvasElement).getContext('2d')!;
    const { data } = context.getImageData(0, 0, width, height);
    const scale = width / canvas.clientWidth;
    const at = (x: number, y: number) => {
      const index = (Math.round(y * scale) * width + Math.round(x * scale)) * 4;
      return Array.from(data.slice(index, index + 3));
    };
    // The second head's: the first has the ring of the chosen one. Gutters of 26 and 30 pixels, heads 46 apart.
    return { below: at(26 + 46 + 11, 30 + 33), above: at(26 + 46 + 33, 30 + 11) };
  };

  it('leave out what lies above the diagonal of a causal map, and of no other', async () => {
    const page = await openTranslation({ stack: 1 });
    const canvas = page.locator('attention-head-grid canvas');
    await expect
      .poll(() => canvas.evaluate(corners).then(({ above, below }) => String(above) === String(below)))
      .toBe(false);
    await page.getByRole('tab').nth(0).click();
    await expect
      .poll(() => canvas.evaluate(corners).then(({ above, below }) => String(above) === String(below)))
      .toBe(true);
    expect((await canvas.evaluate(corners)).above).not.toEqual([0, 0, 0]);
  });
});

describe('the two texts of cross attention', () => {
  it('are asked, the answer what it attends to, the source what attends to it', async () => {
    const page = await openTranslation({ stack: 2, ...shape, heads: 2 });
    const [queries, keys] = [
      page.getByRole('group', { name: 'Tokens of the answer' }),
      page.getByRole('group', { name: 'Tokens of the text' }),
    ];
    await queries.locator('[data-token="1"]').click();
    await keys.locator('[data-token="2"]').click();
    expect(called('shade')).toEqual([
      { inspectionId: 1, token: 1, direction: 'attends' },
      { inspectionId: 1, token: 2, direction: 'attended' },
    ]);
    await panel.send(
      shownState(source, { ...translated, stack: 2, heads: 2, shading: { token: 1, direction: 'attends' } }),
    );
    await expect
      .poll(() =>
        keys.locator('.token').evaluateAll((tokens) => tokens.map((token) => token.getAttribute('aria-label'))),
      )
      .toEqual([
        'token 0 ·the, weight 0.1000',
        'token 1 ·cat, weight 0.2000',
        'token 2 ·sat, weight 0.3000',
        'token 3 </s>, weight 0.4000',
      ]);
    expect(await queries.locator('[aria-pressed="true"]').getAttribute('data-token')).toBe('1');
    expect(await keys.locator('[aria-pressed="true"]').count()).toBe(0);
    expect(await queries.locator('.token:not([data-level="0"])').count()).toBe(0);
  });
});

describe('a picture', () => {
  it('has its patches over it, each with its weight', async () => {
    const page = await openPicture();
    await expect.poll(() => called('picture')).toEqual([{ inspectionId: 1 }]);
    await expect
      .poll(() =>
        page
          .locator('.picture canvas')
          .evaluate((canvas) =>
            Array.from((canvas as HTMLCanvasElement).getContext('2d')?.getImageData(31, 0, 1, 1).data ?? []),
          ),
      )
      .toEqual([247, 0, 128, 255]);
    expect(await page.locator('.patch').count()).toBe(side * side);
    await page.locator('[data-token="6"].patch').click();
    expect(called('shade')).toEqual([{ inspectionId: 1, token: 6, direction: 'attends' }]);
    await panel.send(shownState([], { ...pictured, shading: { token: 6, direction: 'attends' } }));
    await expect
      .poll(() => page.locator('[aria-pressed="true"].patch').getAttribute('aria-label'))
      .toBe('patch 1,1, weight 0.0458');
    expect(await page.locator('[data-token="0"]').getAttribute('aria-label')).toBe('[CLS], weight 0.0065');
    expect(await page.locator('[data-token="16"]').getAttribute('data-level')).toBe(
      await page.locator('[data-token="15"]').getAttribute('data-level'),
    );
  });

  it('puts each patch where it lies', async () => {
    const page = await openPicture();
    const frame = (await page.locator('.picture canvas').boundingBox())!;
    for (const [token, row, column] of [
      [1, 0, 0],
      [4, 0, 3],
      [13, 3, 0],
      [11, 2, 2],
    ] as const) {
      const box = (await page.locator(`.patch[data-token="${token}"]`).boundingBox())!;
      expect(box.x - frame.x).toBeCloseTo((frame.width / side) * column, 0);
      expect(box.y - frame.y).toBeCloseTo((frame.height / side) * row, 0);
    }
  });

  it('is walked by arrow keys, the tokens above it included', async () => {
    const page = await openPicture();
    await page.locator('[data-token="0"]').focus();
    const at = () => page.evaluate(() => document.activeElement?.getAttribute('data-token'));
    const seen: unknown[] = [];
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight', 'End', 'ArrowUp', 'ArrowUp', 'ArrowUp']) {
      await page.keyboard.press(key);
      seen.push(await at());
    }
    expect(seen).toEqual(['1', '5', '6', '8', '4', '0', '0']);
    await page.keyboard.press('Enter');
    expect(called('shade')).toEqual([{ inspectionId: 1, token: 0, direction: 'attends' }]);
  });
});

const looks = [
  {
    look: 'cross',
    open: openTranslation,
    state: { stack: 2, ...shape, heads: 2, shading: { token: 1, direction: 'attends' } },
  },
  { look: 'picture', open: openPicture, state: { shading: { token: 6, direction: 'attends' } } },
] as const;

describe.each(looks)('$look', ({ look, open, state }) => {
  it.each([300, 1200])('fits a width of %d pixels, and all in it has a name', async (width) => {
    for (const theme of ['dark', 'light', 'high-contrast', 'high-contrast-light'] as const) {
      const page = await open(state, { theme, size: { width, height: 1400 } });
      await page.locator('attention-head-grid canvas').waitFor();
      if (process.env.SCREENSHOTS)
        await page.screenshot({ path: `${process.env.SCREENSHOTS}/${look}-${theme}-${width}.png` });
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      const nameless = await page.evaluate(() =>
        [...document.querySelectorAll('button, input, select, [role=tab], [role=tabpanel], [role=group]')]
          .filter(
            (one) =>
              !one.getAttribute('aria-label') &&
              !one.getAttribute('aria-labelledby') &&
              !one.textContent?.trim() &&
              !(one as HTMLInputElement).labels?.length,
          )
          .map((one) => one.outerHTML),
      );
      expect(nameless).toEqual([]);
      if (theme !== 'high-contrast-light') await panel.close();
    }
  });
});
