/** The Model view, the status bar and the engine's life in a real VS Code with the real model. */
import { cp, rename } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Host, openHost } from '../../scripts/vscode-host/host.mjs';

const patient = { timeout: 120_000 };
const sampling = { temperature: 0, maxTokens: 4 };
/** It cannot come to its end by itself while a test looks at it. */
const endless = { temperature: 0, maxTokens: 6000, logitBias: { 2: -100 } };

let host: Host;

beforeAll(async () => {
  host = await openHost({ size: { width: 1200, height: 760 } });
  // Only watches: the page's workers are the browser's own.
  await host.page.addInitScript(() => {
    window.Worker = class extends Worker {
      constructor(address: string | URL, options?: WorkerOptions) {
        super(address, options);
        const seen = window as unknown as { engineWorkers?: Worker[] };
        if (options?.name === 'glasshead-engine') seen.engineWorkers = [...(seen.engineWorkers ?? []), this];
      }
    };
  });
});
afterAll(() => host?.close());

const killWorker = async () => {
  const view = await host.webview('model');
  await view.evaluate(() => {
    for (const worker of (window as unknown as { engineWorkers: Worker[] }).engineWorkers) worker.terminate();
  });
};

const statusItem = () =>
  host.page.locator('.statusbar-item').filter({ has: host.page.locator('[aria-label^="Glasshead"]') });
const status = () => statusItem().innerText();
const isReady = () => expect.poll(status, patient).toMatch(/^\s*SmolLM2-135M-Instruct · WASM/);
const viewState = async () => (await host.webview('model')).getByRole('status').innerText();
const readActive = () => host.evaluate((vscode) => vscode.window.activeTextEditor?.document.getText() ?? '');
const toast = (text: string | RegExp) =>
  host.page.locator('.notifications-toasts .notification-list-item').filter({ hasText: text });

/** A long answer that has begun; resolves with what came of it. */
async function beginAnswer() {
  const outcome = host.run('glasshead.runPrompt', { prompt: 'Count in words.', sampling: endless }).then(
    () => 'finished',
    (error: Error) => error.message,
  );
  const isUntitled = () => host.evaluate((vscode) => vscode.window.activeTextEditor?.document.isUntitled ?? false);
  await expect.poll(isUntitled, patient).toBe(true);
  await expect.poll(async () => (await readActive()).length, patient).toBeGreaterThan(3);
  return { outcome, textSoFar: await readActive() };
}

describe('the Model view', () => {
  test('is revealed when the engine is first needed, without taking the focus', async () => {
    await expect.poll(async () => (await status()).trim(), patient).toBe('Glasshead');
    await host.open('letter.md');
    const before = await readActive();
    await host.page.keyboard.type('abc');
    const loading = host.run('glasshead.loadModel');
    await expect.poll(viewState, patient).toBe('Loading');
    await host.page.keyboard.type('def');
    await expect.poll(status, patient).toMatch(/SmolLM2-135M-Instruct \d+ %/);
    await loading;
    await host.page.keyboard.type('ghi');
    await expect.poll(readActive, patient).toBe(`abcdefghi${before}`);
    await isReady();
    expect(await host.notifications()).toEqual([]);
  });

  test('says what runs and why there, and names its buttons', async () => {
    const view = await host.webview('model');
    await expect.poll(viewState, patient).toBe('Ready');
    const text = await view.locator('model-panel').innerText();
    for (const part of ['SmolLM2-135M-Instruct', 'Apache-2.0', 'WASM', '30', '49,152 tokens', '8,192 tokens'])
      expect(text).toContain(part);
    const names = await view.getByRole('button').allInnerTexts();
    expect(names.map((name) => name.trim())).toEqual(['Restart', 'Unload', 'Show log', 'Settings']);
  });

  test('shows the speed of the last answer, and so does the status bar', async () => {
    await host.reset();
    await host.run('glasshead.runPrompt', { prompt: 'Say hi.', sampling });
    await expect.poll(status, patient).toMatch(/WASM · [\d.]+ tokens\/s/);
    const view = await host.webview('model');
    await expect.poll(() => view.locator('model-panel').innerText(), patient).toMatch(/Decode\s+[\d.]+ tokens\/s/);
    await expect.poll(() => view.locator('model-panel').innerText(), patient).toMatch(/Caches\s+\d+ [kM]B, 1 prompt/);
  });
});

describe('in the middle of an answer', () => {
  test('the worker is killed: the text so far stays, the error is clear, the next prompt starts afresh', async () => {
    await host.reset();
    const { outcome, textSoFar } = await beginAnswer();
    await killWorker();
    await expect.poll(viewState, patient).toBe('Stopped');
    await toast('The engine worker ended').first().waitFor(patient);
    expect(await readActive()).toContain(textSoFar);
    expect(await (await host.webview('model')).getByRole('alert').innerText()).toContain('The engine worker ended');
    expect(await statusItem().getAttribute('class')).toContain('error-kind');
    await host.page.keyboard.press('Escape');
    await host.run('notifications.clearAll');
    await outcome;
    const again = host.run('glasshead.runPrompt', { prompt: 'Say hi.', sampling: { ...sampling, maxTokens: 2 } });
    expect(await again).toBeTruthy();
    await isReady();
  });

  test('the view is closed: the text so far stays, and a restart opens it again', async () => {
    await host.reset();
    const { outcome, textSoFar } = await beginAnswer();
    await host.run('glasshead.model.removeView');
    await toast('The view was closed').first().waitFor();
    expect(await readActive()).toContain(textSoFar);
    await expect.poll(async () => (await status()).trim(), patient).toBe('Glasshead');
    await host.run('notifications.clearAll');
    await outcome;
    await host.run('glasshead.restartEngine');
    await isReady();
  });
});

test('a folder of the user as model: what is missing is named, and Reload loads it once it is there', async () => {
  await host.reset();
  const folder = path.join(host.directory, 'my-model');
  await cp(path.resolve('media/models/SmolLM2-135M-Instruct'), folder, { recursive: true });
  await rename(path.join(folder, 'tokenizer.json'), path.join(folder, 'elsewhere.txt'));
  await host.setSetting('glasshead.model', folder);
  await expect.poll(viewState, patient).toBe('Stopped');
  const view = await host.webview('model');
  expect(await view.getByRole('alert').innerText()).toContain('has no tokenizer.json');
  await rename(path.join(folder, 'elsewhere.txt'), path.join(folder, 'tokenizer.json'));
  await view.getByRole('button', { name: 'Reload' }).click();
  await expect.poll(status, patient).toMatch(/^\s*my-model · WASM/);
  await host.setSetting('glasshead.model', 'no-such-model');
  await expect.poll(viewState, patient).toBe('Stopped');
  expect(await (await host.webview('model')).getByRole('alert').innerText()).toContain(
    'There is no model "no-such-model"',
  );
  await host.setSetting('glasshead.model', undefined);
});
