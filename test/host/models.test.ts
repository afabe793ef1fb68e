/** An encoder, a translator and a vision model in a real VS Code: chosen by the settings, seen in the panel. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Host, openHost } from '../../scripts/vscode-host/host.mjs';
import type { PanelState, ShownState } from '../../src/shared/attention-contract.ts';
import { readTruth } from '../browser/support/fixture-truth.ts';
import { createHubFolder } from '../browser/support/hub-folder.ts';
import { encodePng } from '../browser/support/png-file.ts';

const patient = { timeout: 90_000 };

let host: Host;

beforeAll(async () => {
  host = await openHost({ size: { width: 1280, height: 1000 } });
});
afterAll(() => host?.close());
beforeEach(() => host.reset());

const choose = (model: string) => host.setSetting('glasshead.model', model);

async function shown(command: string, ...args: unknown[]): Promise<ShownState> {
  const state: PanelState = await host.run(command, ...args);
  if (state.kind !== 'shown') throw new Error(`Not shown: ${JSON.stringify(state)}`);
  return state;
}

async function openPanel() {
  const panel = await host.webview('attention');
  await panel.locator('attention-heatmap canvas').waitFor(patient);
  return panel;
}

async function select(name: string, text: string): Promise<void> {
  await writeFile(path.join(host.workspace, name), text);
  await host.open(name);
  await host.evaluate((vscode, length) => {
    const editor = vscode.window.activeTextEditor!;
    editor.selection = new vscode.Selection(editor.document.positionAt(0), editor.document.positionAt(length));
  }, text.length);
}

test('a translator: three tabs, each with the numbers of PyTorch', async () => {
  await choose(createHubFolder('marian-merged-sdpa-ts'));
  const truth = readTruth('marian-merged-sdpa-ts');
  const idsOf = (name: string) => ({ kind: 'ids', ids: Array.from(truth.tensor(name).data) });
  await select('letter.txt', 'the cat sat on the mat');
  const selected = await shown('glasshead.inspectSelection');
  expect(selected.tokens.map(({ label }) => label)).toEqual(['·the', '·cat', '·sat', '·on', '·the', '·mat', '</s>']);
  expect(selected.target?.[0]?.label).toBe('<pad>');
  expect(selected.stacks.map(({ name, layers }) => [name, layers])).toEqual([
    ['encoder', 1],
    ['decoder', 2],
    ['cross', 2],
  ]);

  const forced = await shown('glasshead.inspectPrompt', {
    input: { kind: 'text', text: 'the cat' },
    target: 'a dog ran',
  });
  expect(forced.target?.map(({ label }) => label)).toEqual(['<pad>', '·a', '·dog', '·ran']);

  const source = await shown('glasshead.inspectPrompt', { input: idsOf('input_ids') });
  const { dims, data } = truth.tensor('encoder_attentions.0');
  const [, heads = 0, queries = 0, keys = 0] = dims;
  expect(source.tokens).toHaveLength(queries);
  const panel = await openPanel();
  expect(await panel.getByRole('tab').allInnerTexts()).toEqual(['Encoder', 'Decoder', 'Cross']);
  const head = heads - 1;
  await panel.getByLabel('Head', { exact: true }).fill(String(head));
  await panel.getByLabel('Head', { exact: true }).press('Enter');
  await panel.locator('.heatmap-scroller').focus();
  for (const key of ['ArrowDown', 'ArrowDown', 'End', 'ArrowLeft']) await host.page.keyboard.press(key);
  const expected = data[(head * queries + 2) * keys + keys - 2]!;
  await expect.poll(() => panel.locator('.readout .weight').innerText(), patient).toBe(expected.toFixed(4));

  await panel.getByRole('tab', { name: 'Cross' }).click();
  await expect.poll(() => panel.getByRole('group', { name: 'Tokens of the answer' }).count(), patient).toBe(1);
  await panel.getByRole('group', { name: 'Tokens of the answer' }).locator('[data-token="0"]').click();
  await expect
    .poll(
      () => panel.getByRole('group', { name: 'Tokens of the text' }).locator('.token:not([data-level="0"])').count(),
      patient,
    )
    .toBeGreaterThan(0);
});

test('a translator colours in the editor what a token of its answer attends to', async () => {
  await select('letter.txt', 'the cat sat on the mat');
  const { stacks } = await shown('glasshead.inspectSelection');
  const panel = await openPanel();
  await panel.getByRole('tab', { name: 'Cross' }).click();
  await panel.getByRole('group', { name: 'Tokens of the answer' }).locator('[data-token="0"]').click();
  const shades = () =>
    host.page.locator('.editor-instance .view-overlays .cdr[class*="TextEditorDecorationType"]').count();
  await expect.poll(shades, patient).toBeGreaterThan(0);
  await panel.getByRole('tab', { name: 'Decoder' }).click();
  await expect.poll(shades, patient).toBe(0);
  expect(stacks).toHaveLength(3);
});

test('a vision model: the patches of a picture, chosen in the Explorer', async () => {
  await choose(createHubFolder('vit-eager-ts'));
  const [width, height] = [40, 30];
  const rgb = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i % 3 === 0 ? (i / 3) % 256 : 90));
  await writeFile(path.join(host.workspace, 'cat.png'), encodePng({ width, height, rgb }));
  await host.run('workbench.view.explorer');
  const file = host.page.locator('.explorer-folders-view .monaco-list-row').filter({ hasText: 'cat.png' });
  await file.click({ ...patient, button: 'right' });
  const item = host.page.getByRole('menuitem', { name: 'Inspect Attention of Image' });
  await item.waitFor(patient);
  // A menu takes no click in the moment in which it opens.
  await expect
    .poll(async () => {
      await item.click({ timeout: 2_000 }).catch(() => {});
      return item.count();
    }, patient)
    .toBe(0);
  const panel = await openPanel();
  await expect.poll(() => panel.locator('.patch').count(), patient).toBe(16);
  expect(await panel.locator('h2').innerText()).toBe('cat.png');
  await panel.locator('[data-token="0"]').click();
  await expect.poll(() => panel.locator('[aria-pressed="true"]').getAttribute('data-token'), patient).toBe('0');
  const said = await panel
    .locator('[data-token]')
    .evaluateAll((tokens) =>
      tokens.map((token) => Number(/weight ([\d.]+)/.exec(token.getAttribute('aria-label') ?? '')?.[1] ?? 0)),
    );
  expect(said).toHaveLength(17);
  expect(said.reduce((sum, weight) => sum + weight)).toBeCloseTo(1, 1);
  const drawn = await panel.locator('.picture canvas').evaluate((canvas) => {
    const { data } = (canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, 24, 24);
    return new Set(data).size;
  });
  expect(drawn).toBeGreaterThan(10);
});

test('the bundled encoder: its attention in both directions, and no prompts', async () => {
  await choose('all-MiniLM-L6-v2');
  await select('animal.txt', 'The animal did not cross the street.');
  const state = await shown('glasshead.inspectSelection');
  expect(state).toMatchObject({ layers: 6, heads: 12, stacks: [{ name: 'encoder', isCausal: false }] });
  expect(state.tokens.at(0)).toMatchObject({ label: '[CLS]', isSpecial: true });
  const panel = await openPanel();
  await panel.locator('.heatmap-scroller').focus();
  await host.page.keyboard.press('End');
  await expect
    .poll(() => panel.locator('.readout').innerText(), patient)
    .toMatch(/^<?0\.\d+\s*0 \[CLS\] attends to \d+ \[SEP\]$/);
  await expect(host.run('glasshead.runPrompt', { prompt: 'Hello' })).rejects.toThrow(/is an encoder/);
  await choose('SmolLM2-135M-Instruct');
  await select('animal.txt', 'The animal did not cross the street.');
  await expect.poll(() => shown('glasshead.inspectSelection').then(({ stacks }) => stacks.length), patient).toBe(1);
  expect(await shown('glasshead.inspectSelection')).toMatchObject({ layers: 30, stacks: [{ isCausal: true }] });
});
