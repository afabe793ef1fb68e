/** Attention in a real VS Code with the real model: true offsets, true numbers, and shades that never lie. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Frame } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Host, openHost } from '../../scripts/vscode-host/host.mjs';
import type { ShadingReport } from '../../src/attention/shading.ts';
import { levelOf } from '../../src/shared/attention/levels.ts';
import { labelText } from '../../src/shared/attention/token-label.ts';
import type { PanelState, ShownState } from '../../src/shared/attention-contract.ts';
import reference from '../fixtures/bundled/smollm2.json' with { type: 'json' };

/** The text of `attention_4.npy`. */
const sample = reference.runs[4]!;
const patient = { timeout: 90_000 };

let host: Host;

beforeAll(async () => {
  host = await openHost({
    size: { width: 1280, height: 1000 },
    settings: { 'workbench.colorTheme': 'Light Modern' },
  });
});
afterAll(() => host?.close());
beforeEach(() => host.reset());

const poll = <T>(read: () => T | Promise<T>) => expect.poll(read, patient);

type Range4 = [number, number, number, number];

/** Opens a file with this text and selects from offset to offset. */
async function select(name: string, text: string, start = 0, end = text.length): Promise<void> {
  await writeFile(path.join(host.workspace, name), text);
  await host.open(name);
  await host.evaluate(
    (vscode, [from, to]) => {
      const editor = vscode.window.activeTextEditor!;
      const at = (offset: number) => editor.document.positionAt(offset);
      editor.selection = new vscode.Selection(at(from), at(to));
    },
    [start, end] as const,
  );
}

async function inspect(): Promise<ShownState> {
  const state: PanelState = await host.run('glasshead.inspectSelection');
  if (state.kind !== 'shown') throw new Error(`Not shown: ${JSON.stringify(state)}`);
  return state;
}

async function openPanel(): Promise<Frame> {
  const panel = await host.webview('attention');
  await panel.locator('attention-heatmap canvas').waitFor(patient);
  return panel;
}

const shade = (options: object): Promise<ShadingReport> => host.run('glasshead.shadeAttention', options);

const readAt = (ranges: readonly (readonly [number, number])[]): Promise<string[]> =>
  host.evaluate((vscode, all) => {
    const { document } = vscode.window.activeTextEditor!;
    return all.map(([start, end]) =>
      document.getText(new vscode.Range(document.positionAt(start), document.positionAt(end))),
    );
  }, ranges);

/** Texts of one line that are shaded on the screen: backgrounds of our colours, by their place in the monospaced line. */
async function shadedOnScreen(line: number): Promise<string[]> {
  return host.page
    .locator('.editor-instance')
    .first()
    .evaluate((editor, index) => {
      const lines = [...editor.querySelectorAll<HTMLElement>('.view-lines > .view-line')];
      lines.sort((a, b) => a.offsetTop - b.offsetTop);
      const view = lines[index]!;
      const span = view.firstElementChild!;
      const text = (span.textContent ?? '').replaceAll('\u00a0', ' ');
      const { left, width, top } = span.getBoundingClientRect();
      const character = width / text.length;
      const shades = [...editor.querySelectorAll<HTMLElement>('.view-overlays .cdr')].filter((one) => {
        const isOnLine = Math.abs(one.getBoundingClientRect().top - top) < 4;
        return isOnLine && [...one.classList].some((name) => name.includes('TextEditorDecorationType'));
      });
      return shades
        .filter((one) => getComputedStyle(one).backgroundColor !== 'rgba(0, 0, 0, 0)')
        .map((one) => one.getBoundingClientRect())
        .sort((a, b) => a.left - b.left)
        .map((box) =>
          text.slice(Math.round((box.left - left) / character), Math.round((box.right - left) / character)),
        );
    }, line);
}

/** VS Code draws neighbours of one colour as one. */
function drawnAs(shades: readonly { start: number; end: number; level: number }[], text: string): string[] {
  const runs: { start: number; end: number; level: number }[] = [];
  for (const { start, end, level } of shades) {
    const last = runs.at(-1);
    if (last?.end === start && last.level === level) last.end = end;
    else runs.push({ start, end, level });
  }
  return runs.map(({ start, end }) => text.slice(start, end));
}

describe('before anything is selected', () => {
  test('says how to begin, and does not start the model', async () => {
    await host.open('shop.py', [0, 0, 0, 0]);
    expect(await host.run('glasshead.inspectSelection')).toMatchObject({
      kind: 'empty',
      hint: expect.stringContaining('Nothing is selected.'),
    });
    const panel = await host.webview('attention');
    await poll(() => panel.locator('main').innerText()).toContain('Nothing is selected.');
    await host.reset();
    await panel.getByText('Inspect Selection', { exact: true }).click(patient);
    await poll(() => panel.locator('main').innerText()).toContain('No text editor is open.');
  });
});

describe('a selection', () => {
  beforeAll(() => host.run('glasshead.loadModel'), 600_000);

  test('is shown with the numbers of the reference', async () => {
    const before = 'x = 1\n';
    await select('animal.txt', `${before}${sample.text}\n`, before.length, before.length + sample.text.length);
    const state = await inspect();
    expect(state.tokens).toHaveLength(sample.ids.length);
    expect(state).toMatchObject({ layers: 30, heads: 9, kvHeads: 3, document: 'live' });
    const weights = await readNpy('test/fixtures/bundled/attention_4.npy');
    let compared = 0;
    for (const [layer, head, token, direction] of [
      [0, 0, 12, 'attends'],
      [3, 4, 10, 'attends'],
      [29, 8, 8, 'attends'],
      [3, 4, 9, 'attended'],
      [14, 2, 0, 'attended'],
    ] as const) {
      const { shades } = await shade({ layer, head, token, direction });
      for (const { tokens, weight, level } of shades) {
        const [query, key] = direction === 'attends' ? [token, tokens[0]!] : [tokens[0]!, token];
        expect(Math.abs(weight - weights(layer, head, query, key))).toBeLessThan(1e-4);
        expect(level).toBe(levelOf(weight));
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(20);

    // The panel's own number: keyboard cursor on query 10, key 5.
    await shade({ layer: 3, head: 4, token: 10 });
    const panel = await openPanel();
    await poll(() => panel.locator('.map h3').innerText()).toBe('Layer 3, head 4');
    await panel.locator('.heatmap-scroller').focus();
    for (const key of ['PageDown', ...Array(5).fill('ArrowRight')]) await host.page.keyboard.press(key);
    const shown = panel.locator('.readout .weight[data-query="10"][data-key="5"]');
    // The heads asked for before may still pass by.
    await poll(async () => Math.abs(Number(await shown.innerText()) - weights(3, 4, 10, 5)) < 5e-4).toBe(true);
  });

  test('is shaded in the editor where its tokens stand, both ways, by a click in the panel', async () => {
    const line = '    total = sum(item.price for item in self.items)';
    await select('basket.py', `class Basket:\n${line}\n`, 14, 14 + line.length);
    const { tokens } = await inspect();
    const panel = await openPanel();
    const buttons = panel.locator('.token');
    await poll(() => buttons.count()).toBe(tokens.length);
    const readLevels = () => panel.locator('.token').evaluateAll((all) => all.map((one) => Number(one.dataset.level)));
    const shadedInPanel = async () => (await readLevels()).flatMap((level, index) => (level > 0 ? [index] : []));
    const expectSame = async () => {
      const shades = (await readLevels()).flatMap((level, index) => (level > 0 ? [{ ...tokens[index]!, level }] : []));
      expect(shades.length).toBeGreaterThan(1);
      await poll(() => shadedOnScreen(1)).toEqual(drawnAs(shades, line));
    };

    const middle = Math.floor(tokens.length / 2);
    await panel.getByLabel('what it attends to').check(); // the choice is kept from text to text
    await buttons.nth(middle).click(patient);
    await poll(() => buttons.nth(middle).getAttribute('aria-pressed')).toBe('true');
    await expectSame();
    expect(Math.max(...(await shadedInPanel()))).toBeLessThanOrEqual(middle);

    await panel.getByLabel('what attends to it').check();
    await poll(async () => Math.min(...(await shadedInPanel()))).toBeGreaterThanOrEqual(middle);
    await expectSame();

    // The number is in the hover of the text itself.
    const box = await host.page.locator('.view-overlays .cdr[class*="TextEditorDecorationType"]').last().boundingBox();
    await host.page.mouse.move(box!.x + box!.width / 2, box!.y + box!.height / 2, { steps: 3 });
    await poll(() => host.page.locator('.monaco-hover').allInnerTexts()).toContainEqual(
      expect.stringMatching(/attends to .*with weight \d\.\d{4}/),
    );

    await host.run('workbench.action.focusActiveEditorGroup');
    await host.page.keyboard.press('Escape');
    await host.page.keyboard.press('Escape'); // the first closes the hover, if it is still there
    await poll(() => shadedOnScreen(1)).toEqual([]);
    await poll(shadedInPanel).toEqual([]);
  });

  test('has true offsets with CRLF, tabs, emoji, Chinese and right-to-left text', async () => {
    const selected = '\tif "😀👩‍👩‍👧 你好" == x:\r\n\t\treturn "سلام עולם"\r\n\t# é naïve\u200b<|im_end|>';
    const text = `first = 1\r\n${selected}\r\nlast = 2\r\n`;
    await select('odd.py', text, 11, 11 + selected.length);
    const { tokens, notes } = await inspect();
    expect(tokens[0]!.start).toBe(0);
    expect(tokens.at(-1)!.end).toBe(selected.length);
    const texts = await readAt(tokens.map(({ start, end }) => [11 + start, 11 + end] as const));
    tokens.forEach(({ label, start, end }, index) => {
      expect(texts[index]).toBe(selected.slice(start, end));
      expect(label.replace(/ \d+\/\d+$/, '')).toBe(labelText(texts[index]!));
      expect(start).toBeLessThanOrEqual(tokens[index - 1]?.end ?? 0); // no gaps
    });
    expect(notes).toEqual([expect.stringContaining('<|im_end|>')]); // text, not control
    expect(tokens.every(({ isSpecial }) => !isSpecial)).toBe(true);

    const { shades } = await shade({ token: tokens.length - 1, direction: 'attends', layer: 2, head: 1 });
    expect(shades.length).toBeGreaterThan(3);
    expect(await readAt(shades.map(({ start, end }) => [11 + start, 11 + end] as const))).toEqual(
      shades.map((one) => one.text),
    );
  });

  test('of one character has one weight', async () => {
    await select('one.txt', 'x', 0, 1);
    const { tokens } = await inspect();
    expect(tokens).toMatchObject([{ label: 'x', start: 0, end: 1 }]);
    const { shades } = await shade({ token: 0, layer: 0, head: 0 });
    expect(shades).toMatchObject([{ start: 0, end: 1, weight: 1, level: 10 }]);
  });

  test('of 50,000 characters is counted, and inspected up to the limit on demand', async () => {
    await host.setSetting('glasshead.attention.maxTokens', 16);
    try {
      const text = 'The quick brown fox jumps. '.repeat(2000).slice(0, 50_000);
      await select('long.txt', text);
      const state: PanelState = await host.run('glasshead.inspectSelection');
      expect(state).toMatchObject({ kind: 'tooLong', limit: 16, hasMore: false });
      const panel = await host.webview('attention');
      await panel.getByText('Inspect the First 16 Tokens').click(patient);
      await poll(() => panel.locator('.token').count()).toBe(16);
      expect(await panel.locator('header').innerText()).toMatch(/Only the first 16 of \d{4,} tokens were inspected/);
    } finally {
      await host.setSetting('glasshead.attention.maxTokens', undefined);
    }
  });
});

describe('a document that changes', () => {
  const edit = (range: Range4, text: string) =>
    host.evaluate(
      (vscode, change) =>
        vscode.window.activeTextEditor!.edit((builder) =>
          builder.replace(new vscode.Range(...change.range), change.text),
        ),
      { range, text },
    );

  test('elsewhere keeps its shades on the right words; inside, it loses them and says so', async () => {
    await select('edit.txt', 'zero\nThe cat sat on the mat\nend\n', 5, 27);
    await inspect();
    const { shades } = await shade({ token: 4, layer: 0, head: 0, direction: 'attends' });
    const words = drawnAs(shades, 'The cat sat on the mat');
    await poll(() => shadedOnScreen(1)).toEqual(words);

    await edit([0, 0, 0, 4], 'some\nmore');
    await edit([3, 0, 3, 0], 'and ');
    await poll(() => shadedOnScreen(2)).toEqual(words);
    const again = await shade({ token: 4 });
    expect(again.shades).toEqual(shades);
    await poll(() => shadedOnScreen(2)).toEqual(words);

    const panel = await openPanel();
    await edit([2, 4, 2, 7], 'dog');
    await poll(() => shadedOnScreen(2)).toEqual([]);
    await poll(() => panel.locator('main').innerText()).toContain('The text was changed after this run');
    await shade({ token: 4 });
    expect(await shadedOnScreen(2)).toEqual([]);

    await host.run('undo');
    await poll(() => panel.locator('main').innerText()).not.toContain('The text was changed');
    await shade({ token: 4 });
    await poll(() => shadedOnScreen(2)).toEqual(words);
  });

  test('by being closed leaves the panel as it is, and comes back', async () => {
    await select('closed.txt', 'The cat sat', 0, 11);
    await inspect();
    const panel = await openPanel();
    await host.reset();
    await host.evaluate(
      (vscode) =>
        new Promise<void>((resolve) => {
          const isOpen = () => vscode.workspace.textDocuments.some(({ uri }) => uri.path.endsWith('/closed.txt'));
          const timer = setInterval(() => {
            if (isOpen()) return;
            clearInterval(timer);
            resolve();
          }, 100);
          setTimeout(resolve, 8000);
        }),
    );
    await panel.locator('.token').nth(1).click(patient);
    await poll(() => panel.locator('.token[aria-pressed="true"]').count()).toBe(1);
    expect(await panel.locator('.token').count()).toBe(3);
  });
});

describe('a prompt', () => {
  test('with its answer is shown with the template’s special tokens, and shaded in the panel', async () => {
    const state: PanelState = await host.run('glasshead.inspectPrompt', {
      title: 'A greeting',
      input: { kind: 'chat', messages: [{ role: 'user', content: 'Hi' }] },
      continuation: [19556], // Hello
    });
    if (state.kind !== 'shown') throw new Error(JSON.stringify(state));
    expect(state).toMatchObject({ title: 'A greeting', document: 'none' });
    expect(state.tokens.filter(({ isSpecial }) => isSpecial).map(({ label }) => label)).toContain('<|im_start|>');
    expect(state.tokens.at(-1)?.label).toBe('Hello');
    const panel = await openPanel();
    await panel.locator('.token').last().click(patient);
    await poll(() => panel.locator('.token:not([data-level="0"])').count()).toBeGreaterThan(1);
  });

  test('without a prompt says so', async () => {
    await expect(host.run('glasshead.inspectPrompt')).rejects.toThrow('There is no prompt to inspect.');
  });
});

describe('an engine that is restarted', () => {
  test('has lost the text: the panel says so and Retry brings it back', async () => {
    await select('again.txt', 'The cat sat', 0, 11);
    await inspect();
    const panel = await openPanel();
    await host.run('glasshead.restartEngine');
    await panel.getByRole('button', { name: 'Next layer' }).click(patient);
    await panel.getByText('Retry', { exact: true }).click({ timeout: 300_000 });
    await panel.locator('attention-heatmap canvas').waitFor({ timeout: 300_000 });
    expect(await panel.locator('.token').count()).toBe(3);
  }, 600_000);
});

async function readNpy(file: string): Promise<(...index: [number, number, number, number]) => number> {
  const bytes = await readFile(file);
  const header = bytes.readUInt16LE(8);
  const shape = /'shape': \(([\d, ]+)\)/
    .exec(bytes.toString('latin1', 10, 10 + header))![1]!
    .split(',')
    .map(Number);
  const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 10 + header));
  return (...index) => data[index.reduce((at, value, axis) => at * shape[axis]! + value, 0)]!;
}
