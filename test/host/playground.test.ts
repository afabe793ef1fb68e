/** The Playground in a real VS Code with the real model: run, branch, stop, reload, a dead worker, text that is too long. */
import type { Frame } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Host, openHost } from '../../scripts/vscode-host/host.mjs';

const patient = { timeout: 150_000 };
const question = 'Name the capital of France.';

let host: Host;
let page: Frame;

beforeAll(async () => {
  host = await openHost({ size: { width: 1280, height: 900 } });
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
  await host.run('glasshead.openPlayground');
  page = await host.webview('playground');
  await page.locator('.model-line').waitFor(patient);
});
afterAll(() => host?.close());

const composer = () => page.locator('#composer');
const answer = () => page.locator('token-view').last();
const texts = (selector: string) =>
  page.locator(selector).evaluateAll((all) => all.map((one) => one.textContent ?? ''));
const lastAnswer = async () => (await texts('token-view')).at(-1) ?? '';
const action = (name: string) =>
  page.locator('article[aria-label="Model"]').last().getByRole('button', { name, exact: true });
const notice = (kind: string) => page.locator(`.notice.is-${kind}`);

async function set(key: string, value: number): Promise<void> {
  const input = page.locator(`glass-slider[data-key="${key}"] input`);
  await input.fill(String(value));
  await input.press('Enter');
}

async function ask(text: string): Promise<void> {
  await composer().fill(text);
  await composer().press('Control+Enter');
}

/** The numbers of the last answer, by name. */
async function numbers(): Promise<Record<string, string>> {
  const shown = page.locator('.numbers-of-run').last();
  await shown.waitFor(patient);
  return shown.evaluate((element) => {
    const read = (selector: string) => [...element.querySelectorAll(selector)].map((one) => one.textContent!.trim());
    const values = read('dd');
    return Object.fromEntries(read('dt').map((name, at) => [name, values[at]!]));
  });
}

const promptTokens = async () => {
  const { 'Prompt tokens computed': shown = '' } = await numbers();
  const [computed = 0, reused = 0] = shown.match(/[\d,]+/g)!.map((one) => Number(one.replaceAll(',', '')));
  return { computed, reused };
};

describe('the playground', () => {
  test('counts the prompt, answers token by token, and says what it took', async () => {
    await set('temperature', 0);
    await page.locator('summary', { hasText: 'Repetition' }).click();
    await set('repetitionPenalty', 1);
    await set('maxTokens', 6);
    await composer().fill(question);
    await expect.poll(() => page.locator('.prompt-toggle').innerText(), patient).toMatch(/^\d+ of 8,192 tokens/);
    const counted = Number.parseInt(await page.locator('.prompt-toggle').innerText(), 10);
    await composer().press('Control+Enter');
    const shown = await numbers();
    expect(shown['Context used']).toBe(`${counted + 6} of 8,192 tokens`);
    expect(shown['How it ended']).toBe('the limit of new tokens ended it');
    const { computed, reused } = await promptTokens();
    expect(computed + reused).toBe(counted);
    expect(await answer().locator('.token').count()).toBe(6);
    expect(await lastAnswer()).toMatch(/Paris/);
    expect(await page.locator('.model-line').innerText()).toMatch(/SmolLM2-135M-Instruct\s+\S+ · \d+ MB of memory/);
  });

  test('gives the same answer twice at temperature 0, and computes one prompt token the second time', async () => {
    const first = await lastAnswer();
    await action('Write this answer again').click();
    await expect.poll(() => page.locator('.versions').innerText(), patient).toContain('2 of 2');
    await expect.poll(() => page.locator('.numbers-of-run').count(), patient).toBe(1);
    expect(await lastAnswer()).toBe(first);
    expect((await promptTokens()).computed).toBe(1);
  });

  test('branches at a token without computing what stands before it, and keeps the version before', async () => {
    const before = await lastAnswer();
    const { computed, reused } = await promptTokens();
    const token = answer().locator('.token').nth(2);
    await token.click();
    await page.locator('.details').waitFor();
    const chosen = page.locator('.alternative:not(.is-chosen)').first();
    expect(await page.locator('.alternative').count()).toBeGreaterThanOrEqual(10);
    await chosen.click();
    await expect
      .poll(() => page.locator('.versions').innerText(), patient)
      .toContain('branches at token 3 of version 2');
    expect(await promptTokens()).toEqual({ computed: 1, reused: computed + reused + 2 });
    const tokens = await answer().locator('.token').count();
    expect(tokens).toBeGreaterThan(3);
    expect(await lastAnswer()).not.toBe(before);
    await action('Earlier version').click();
    expect(await lastAnswer()).toBe(before);
    await action('Later version').click();
  });

  test('is restored after a reload with everything in it', async () => {
    await composer().fill('Not sent yet');
    await page.locator('.system textarea').fill('Answer briefly.');
    const [answers, versions] = [await texts('token-view'), await page.locator('.versions').innerText()];
    // VS Code in a browser writes the state of its editors every 5 s, and not when it is left.
    await page.waitForTimeout(7000);
    await host.reload();
    page = await host.webview('playground', { timeoutMs: 60_000 });
    await page.locator('token-view').waitFor(patient);
    expect(await texts('token-view')).toEqual(answers);
    expect(await page.locator('.versions').innerText()).toBe(versions);
    expect(await composer().inputValue()).toBe('Not sent yet');
    expect(await page.locator('.system textarea').inputValue()).toBe('Answer briefly.');
    expect(await page.locator('glass-slider[data-key="maxTokens"] input').inputValue()).toBe('6');
    await answer().locator('.token').first().hover();
    expect(await page.locator('.details').innerText()).toContain('Entropy');
    await page.locator('.model-line').waitFor(patient);
  });

  test('stops, keeps the text, and goes on from it', async () => {
    await page.getByRole('button', { name: 'New' }).click();
    await set('temperature', 1.5); // so that an end token is hardly ever drawn
    await set('maxTokens', 3000);
    await ask('Count from one to one thousand in words.');
    await answer().locator('.token').nth(1).waitFor(patient);
    await page.locator('vscode-button:has-text("Stop")').click();
    await page.locator('.numbers-of-run').waitFor(patient);
    const kept = await lastAnswer();
    const tokens = await answer().locator('.token').count();
    expect(tokens).toBeLessThan(3000);
    await set('maxTokens', 3);
    await action('Continue this answer').click();
    await expect.poll(() => page.locator('.versions').innerText(), patient).toContain('2 of 2');
    await numbers();
    expect(await lastAnswer()).toContain(kept);
    expect(await answer().locator('.token').count()).toBe(tokens + 3);
  });

  test('keeps the text when the worker is killed in the middle, and retries with a fresh one', async () => {
    await page.getByRole('button', { name: 'New' }).click();
    await set('temperature', 1.5); // so that an end token is hardly ever drawn
    await set('maxTokens', 3000);
    await ask('Count from one to one thousand in words.');
    await answer().locator('.token').nth(1).waitFor(patient);
    const model = await host.webview('model');
    await model.evaluate(() => {
      for (const worker of (window as unknown as { engineWorkers: Worker[] }).engineWorkers) worker.terminate();
    });
    await page.locator('article .notice.is-error').waitFor(patient);
    expect(await page.locator('article .notice.is-error').innerText()).toContain('The text so far is kept.');
    const kept = await lastAnswer();
    expect(kept).not.toBe('');
    await set('maxTokens', 3);
    await page.locator('article vscode-button:has-text("Continue")').click();
    await expect.poll(() => page.locator('.versions').innerText(), patient).toContain('2 of 2');
    await numbers();
    expect((await lastAnswer()).startsWith(kept)).toBe(true);
  });

  test('says that special tokens are text, and by how much a text is too long', async () => {
    await page.getByRole('button', { name: 'New' }).click();
    await composer().fill('What is <|im_end|>?');
    await expect
      .poll(() => page.locator('.bottom').innerText(), patient)
      .toContain('<|im_end|> was read as text, not as a control token.');
    await composer().fill('日本語 and more. '.repeat(3500));
    await notice('warning').waitFor(patient);
    expect(await notice('warning').innerText()).toMatch(/^The prompt is [\d,]+ tokens too long/);
    await composer().press('Control+Enter');
    await notice('error').waitFor(patient);
    expect(await notice('error').innerText()).toMatch(/too long/);
    expect(await page.locator('article vscode-button').innerText()).toBe('Cut at the start and run');
  });

  test('waits its turn when another prompt runs, and both are answered', async () => {
    await page.getByRole('button', { name: 'New' }).click();
    await set('maxTokens', 4);
    const other = host.run('glasshead.runPrompt', { prompt: question, sampling: { temperature: 0, maxTokens: 4 } });
    await host.run('glasshead.openPlayground');
    await ask(question);
    expect(await numbers()).toHaveProperty('Time to first token');
    expect((await lastAnswer()).length).toBeGreaterThan(0);
    expect(await other).toMatch(/\S/);
  });

  test('offers the conversation of a closed tab', async () => {
    await host.reset();
    await host.run('glasshead.openPlayground');
    page = await host.webview('playground');
    const earlier = page.getByRole('button', { name: new RegExp(`^${question}`) }).first();
    await earlier.click();
    await page.locator('token-view').first().waitFor();
    expect(await page.locator('article').count()).toBe(2);
  });

  test('shows its prompt and answer in the Attention panel', async () => {
    await action('Inspect attention').click();
    const panel = await host.webview('attention', { timeoutMs: 60_000 });
    await panel.locator('canvas').first().waitFor(patient);
    expect(await notice('error').count()).toBe(0);
  });

  test('puts an answer into the editor that was used last', async () => {
    await host.open('letter.md', [0, 0, 0, 0]);
    await host.run('glasshead.openPlayground');
    const text = await lastAnswer();
    await action('Insert into the editor').click();
    await expect
      .poll(() => host.evaluate((vscode) => vscode.window.activeTextEditor?.document.getText() ?? ''), patient)
      .toContain(text);
    await host.run('workbench.action.revertAndCloseActiveEditor');
  });
});
