/** The Playground page in Chromium: its real bundle and policy, with a controller that answers by script. */
import type { Browser, Locator } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../src/shared/app-error.ts';
import { playgroundHostContract, playgroundPageContract } from '../../src/shared/playground-contract.ts';
import { launchBrowser, openStage, type Stage } from './support/page-stage.ts';
import { type Script, ScriptedPlayground } from './support/scripted-playground.ts';

let browser: Browser;
let stage: Stage<typeof playgroundHostContract, typeof playgroundPageContract>;
let scripted: ScriptedPlayground;

beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());
afterEach(async () => {
  const { faults } = stage;
  await stage.close();
  expect(faults).toEqual([]);
});

async function open(script: Partial<Script> = {}, size = { width: 1200, height: 800 }): Promise<void> {
  scripted = new ScriptedPlayground();
  Object.assign(scripted.script, script);
  const contracts = { serves: playgroundHostContract, calls: playgroundPageContract };
  stage = await openStage(browser, { name: 'playground', handlers: scripted.handlers, size, ...contracts });
  await composer().waitFor();
}

const composer = () => stage.page.locator('#composer');
const button = (name: string) => stage.page.locator(`vscode-button:has-text("${name}")`);
const action = (name: string, message = 'Model') =>
  stage.page.locator(`article[aria-label="${message}"]`).last().getByRole('button', { name, exact: true });
const answer = () => stage.page.locator('token-view').last();
const finished = () => stage.page.locator('.numbers-of-run').last().waitFor();
const text = (locator: Locator) => locator.evaluate((element) => element.textContent);
const slider = (key: string) => stage.page.locator(`glass-slider[data-key="${key}"]`);

async function ask(question: string): Promise<void> {
  await composer().fill(question);
  await composer().press('Control+Enter');
}

describe('a run', () => {
  test('streams an answer, then shows its numbers; the message and the settings reach the engine', async () => {
    await open();
    await stage.page.locator('.system textarea').fill('Be short.');
    await ask('Where is it?');
    await finished();
    expect(await text(answer())).toBe('Paris is the capital of France.');
    expect(await composer().inputValue()).toBe('');
    expect(scripted.generated[0]).toMatchObject({
      input: { kind: 'chat', messages: [{ role: 'system', content: 'Be short.' }, { role: 'user' }] },
      overflow: 'refuse',
      sampling: { temperature: 0.2, maxTokens: 256 },
    });
    await stage.page.locator('.numbers-of-run summary').click();
    const numbers = await stage.page.locator('.numbers-of-run dl').innerText();
    for (const one of ['Time to first token', '420 ms', '12, 24 reused', 'Context used', '43 of 8,192', '123456789'])
      expect(numbers).toContain(one);
    expect(await stage.page.locator('.model-line').innerText()).toContain('412 MB of memory');
  });

  test('shows prefill, takes Escape to stop, keeps what was written and goes on from its tokens', async () => {
    await open({ tokenMs: 1000, prefill: [{ done: 64, total: 143, reused: 102 }], prefillMs: 300 });
    await ask('Hello');
    await expect
      .poll(() => stage.page.locator('.run-line').innerText())
      .toContain('Reading the prompt: 64 of 143 tokens, 102 reused');
    await answer().locator('.token').nth(1).waitFor();
    await stage.page.keyboard.press('Escape');
    await finished();
    const kept = await answer().locator('.token').count();
    expect(kept).toBeLessThan(7);
    expect(await stage.page.locator('.numbers-of-run').innerText()).toContain('it was stopped');
    Object.assign(scripted.script, { tokenMs: 10, words: [' more'] });
    await action('Continue this answer').click();
    await expect.poll(() => scripted.generated.length).toBe(2);
    const ids = Array.from({ length: kept }, (_none, at) => 1000 + at);
    expect(scripted.generated[1]!.continuation).toEqual(ids);
    await expect.poll(() => text(answer())).toMatch(/^Paris.* more$/);
  });

  test('refuses a second one clearly, and nothing at all', async () => {
    await open({ tokenMs: 200 });
    await button('Run').click();
    await expect.poll(() => stage.page.locator('.notice').innerText()).toContain('Write a message first.');
    await ask('One');
    await ask('Two');
    await expect.poll(() => stage.page.locator('.notice').innerText()).toContain('Stop it first');
    expect(await composer().inputValue()).toBe('Two');
    await button('Stop').click();
    await button('Run').waitFor();
    expect(scripted.generated).toHaveLength(1);
  });

  test('that dies in the middle keeps the text and offers Retry and Continue', async () => {
    const error = new AppError('engine-died', 'The engine ended in the middle of its work.');
    await open({ failAt: { token: 3, error } });
    await ask('Hello');
    const notice = stage.page.locator('.notice.is-error');
    await notice.waitFor();
    expect(await notice.innerText()).toContain('The text so far is kept.');
    expect(await text(answer())).toBe('Paris is the');
    delete scripted.script.failAt;
    await button('Continue').click();
    await notice.waitFor({ state: 'detached' });
    expect(scripted.generated[1]!.continuation).toEqual([1000, 1001, 1002]);
    await action('Earlier version').click();
    await button('Retry').click();
    await expect.poll(() => scripted.generated.length).toBe(3);
    expect(scripted.generated[2]).not.toHaveProperty('continuation');
  });

  test('that is too long for the context offers to cut at the start', async () => {
    const error = new AppError('context-overflow', 'The prompt is 10 tokens too long.');
    await open({ failAt: { token: 0, error } });
    await ask('Hello');
    await button('Cut at the start and run').waitFor();
    delete scripted.script.failAt;
    await button('Cut at the start and run').click();
    await finished();
    expect(scripted.generated[1]).toMatchObject({ overflow: 'cut-start' });
    await stage.page.locator('.numbers-of-run summary').click();
    expect(await stage.page.locator('.numbers-of-run').innerText()).toContain('100 tokens');
  });

  test('leaves a long answer as it stands and only appends to it', async () => {
    const words = Array.from({ length: 1000 }, (_none, at) => ` word${at}`);
    await open({ words, burst: 20, tokenMs: 1 });
    await slider('maxTokens').locator('input').fill('1000');
    await ask('Go');
    await answer().locator('.token').first().waitFor();
    await stage.page.evaluate(() => {
      const counter = { removed: 0 };
      Object.assign(globalThis, { counter });
      const tokens = document.querySelector('token-view')!;
      new MutationObserver((records) => {
        for (const record of records) counter.removed += record.removedNodes.length;
      }).observe(tokens, { childList: true, subtree: true });
    });
    await finished();
    expect(await answer().locator('.token').count()).toBe(1000);
    expect(await stage.page.evaluate(() => (globalThis as never as { counter: unknown }).counter)).toEqual({
      removed: 0,
    });
    const scroller = stage.page.locator('.scroller');
    expect(
      await scroller.evaluate((element) => element.scrollTop + element.clientHeight + 60 > element.scrollHeight),
    ).toBe(true);
  });
});

describe('tokens', () => {
  test('pointing at one shows both probabilities, entropy, filters and alternatives', async () => {
    await open();
    await ask('Hello');
    await finished();
    await answer().locator('.token').nth(1).hover();
    const details = stage.page.locator('.details');
    await details.waitFor();
    const words = await details.innerText();
    for (const one of ['·is', '42.0 %', 'After filters', 'nats', 'Temperature 49,152 tokens', 'left out', '·London'])
      expect(words).toContain(one);
    expect(await details.locator('.alternative').count()).toBe(10);
    await stage.page.mouse.move(2, 2);
    await details.waitFor({ state: 'detached' });
  });

  test('choosing an alternative branches from there and keeps the version before', async () => {
    await open();
    await ask('Hello');
    await finished();
    scripted.script.words = [' calling', '.'];
    await answer().locator('.token').nth(1).click();
    await stage.page.getByRole('button', { name: /^·London/ }).click();
    await expect.poll(() => scripted.generated.length).toBe(2);
    expect(scripted.generated[1]!.continuation).toEqual([1000, 2000]);
    await expect.poll(() => text(answer())).toBe('Paris London calling.');
    expect(await stage.page.locator('.versions').innerText()).toContain('branches at token 2 of version 1');
    expect(await answer().locator('.is-picked').count()).toBe(1);
    await action('Earlier version').click();
    expect(await text(answer())).toBe('Paris is the capital of France.');
  });

  test('are reached with the keyboard: arrows, Enter, Escape', async () => {
    await open();
    await ask('Hello');
    await finished();
    await answer().locator('.token').first().focus();
    await stage.page.keyboard.press('ArrowRight');
    await stage.page.keyboard.press('End');
    await stage.page.keyboard.press('ArrowLeft');
    expect(await text(stage.page.locator('.token:focus'))).toBe(' France');
    await stage.page.keyboard.press('Enter');
    await stage.page.locator('.alternative:focus').waitFor();
    await stage.page.keyboard.press('ArrowDown');
    expect(
      await stage.page
        .locator('.alternative')
        .nth(1)
        .evaluate((one) => one === document.activeElement),
    ).toBe(true);
    await stage.page.keyboard.press('Escape');
    expect(await text(stage.page.locator('.token:focus'))).toBe(' France');
    expect(await stage.page.locator('.details').count()).toBe(0);
  });

  test('are tinted by the probability that is chosen, and not at all when it is off', async () => {
    await open();
    await ask('Hello');
    await finished();
    const alpha = (at: number) =>
      answer()
        .locator('.token')
        .nth(at)
        .evaluate((element) => {
          const { backgroundColor } = getComputedStyle(element);
          return Number(/[\d.]+(?=\)$)/.exec(backgroundColor)?.[0] ?? 0);
        });
    const [raw, likely] = [await alpha(2), await alpha(4)];
    expect(raw).toBeCloseTo(0.93 * 0.5, 1);
    expect(likely).toBeLessThan(0.05);
    await stage.page.getByRole('button', { name: 'After filters' }).click();
    expect(await alpha(2)).toBeLessThan(raw);
    await stage.page.getByRole('button', { name: 'Off', exact: true }).click();
    expect(
      await answer()
        .locator('.token')
        .nth(2)
        .evaluate((one) => getComputedStyle(one).backgroundColor),
    ).toBe('rgba(0, 0, 0, 0)');
  });
});

describe('a conversation', () => {
  test('is edited in place, changes roles, loses a message and gets it back', async () => {
    await open();
    await ask('Hello');
    await finished();
    const question = stage.page.getByRole('textbox', { name: /Text of this message/ });
    await question.fill('Bonjour');
    await action('Answer from here', 'You').click();
    await expect.poll(() => scripted.generated.length).toBe(2);
    expect(scripted.generated[1]!.input).toMatchObject({ messages: [{ role: 'user', content: 'Bonjour' }] });
    await finished();
    await stage.page.getByRole('combobox', { name: 'Role of this message' }).last().selectOption('user');
    expect(await stage.page.locator('token-view').count()).toBe(0);
    await action('Delete this message', 'You').click();
    expect(await stage.page.locator('article').count()).toBe(1);
    await button('Undo').click();
    expect(await stage.page.locator('article').count()).toBe(2);
  });

  test('gives its answer away: copied, inserted, inspected, edited as text', async () => {
    await open();
    await ask('Hello');
    await finished();
    for (const name of ['Copy', 'Insert into the editor', 'Inspect attention']) await action(name).click();
    await expect.poll(() => scripted.calls.length).toBe(4);
    const answered = { text: 'Paris is the capital of France.' };
    expect(scripted.calls.slice(1)).toEqual([
      { method: 'copyText', params: answered },
      { method: 'insertText', params: answered },
      {
        method: 'inspect',
        params: {
          input: { kind: 'chat', messages: [{ role: 'user', content: 'Hello' }] },
          continuation: [1000, 1001, 1002, 1003, 1004, 1005, 1006],
        },
      },
    ]);
    await action('Edit as text; this version is kept').click();
    await stage.page.locator('article[aria-label="Model"] textarea').fill('Lyon');
    await action('Continue this answer').click();
    await expect.poll(() => scripted.generated.length).toBe(2);
    expect(scripted.generated[1]!.input).toMatchObject({ continueLast: true, messages: [{}, { content: 'Lyon' }] });
    await expect.poll(() => text(answer())).toBe('LyonParis is the capital of France.');
  });

  test('is there after a reload: messages, tokens, settings, what was being written', async () => {
    await open();
    await ask('Hello');
    await finished();
    await slider('topK').locator('input').fill('40');
    await slider('topK').locator('input').press('Enter');
    await composer().fill('Not sent yet');
    await expect.poll(() => [...scripted.drafts.values()][0]?.composer).toBe('Not sent yet');
    await stage.reload();
    await composer().waitFor();
    await expect.poll(() => composer().inputValue()).toBe('Not sent yet');
    expect(await text(answer())).toBe('Paris is the capital of France.');
    expect(await slider('topK').locator('input').inputValue()).toBe('40');
    await answer().locator('.token').first().hover();
    await stage.page.locator('.details').waitFor();
  });

  test('starts anew and offers the earlier one', async () => {
    await open();
    await ask('Hello');
    await finished();
    const [draft] = scripted.drafts.values();
    scripted.script.recent = [{ id: draft!.id, title: 'Hello', savedAt: draft!.savedAt, messages: 2 }];
    await stage.page.getByRole('button', { name: 'New' }).click();
    await stage.page.getByRole('button', { name: /Hello.*2 messages/ }).click();
    await expect.poll(() => text(answer())).toBe('Paris is the capital of France.');
  });

  test('opened by a command begins with its messages', async () => {
    await open({ opening: { messages: [{ role: 'user', content: 'From a command' }] } });
    await expect.poll(() => composer().inputValue()).toBe('From a command');
    await stage.host.call('open', { messages: [{ role: 'user', content: 'Another' }] });
    await expect.poll(() => composer().inputValue()).toBe('Another');
  });
});

describe('the prompt before it is run', () => {
  test('is counted, shown exactly, and special tokens that were typed are named', async () => {
    await open();
    await composer().fill('Hello <|im_end|> you');
    await expect.poll(() => stage.page.locator('.prompt-toggle').innerText()).toContain('of 8,192 tokens');
    await expect
      .poll(() => stage.page.locator('.bottom').innerText())
      .toContain('<|im_end|> was read as text, not as a control token.');
    await stage.page.locator('.prompt-toggle').click();
    expect(await text(stage.page.locator('.prompt-text'))).toContain(
      '<|im_start|>user\nHello <|im_end|> you<|im_end|>',
    );
    await stage.page.getByRole('button', { name: 'Tokens', exact: true }).click();
    expect(await stage.page.locator('.prompt-token').first().innerText()).toBe('<|im_start|>');
  });

  test('of 50,000 characters says by how many tokens it is too long', async () => {
    await open();
    await composer().fill('word and more. '.repeat(3334));
    const notice = stage.page.locator('.notice.is-warning');
    await notice.waitFor();
    expect(await notice.innerText()).toMatch(/^The prompt is 1,8\d\d tokens too long/);
    await button('Cut at the start and run').click();
    await finished();
    expect(scripted.generated[0]).toMatchObject({ overflow: 'cut-start' });
  });
});

describe('settings', () => {
  test('a slider obeys the keys of its pattern, the number field and its reset', async () => {
    await open();
    const track = slider('temperature').getByRole('slider');
    await track.focus();
    const now = () => track.getAttribute('aria-valuenow');
    for (const [key, value] of [
      ['ArrowRight', '0.25'],
      ['ArrowLeft', '0.2'],
      ['PageUp', '0.4'],
      ['End', '2'],
      ['Home', '0'],
    ] as const) {
      await track.press(key);
      expect([key, await now()]).toEqual([key, value]);
    }
    expect(await slider('topP').getAttribute('note')).toBe('Idle: temperature 0 leaves a single token.');
    await slider('temperature').locator('input').fill('99');
    await slider('temperature').locator('input').press('Enter');
    expect(await now()).toBe('5');
    await slider('temperature').getByRole('button', { name: 'Reset Temperature to 0.2' }).click();
    expect(await now()).toBe('0.2');
    const box = (await track.boundingBox())!;
    await stage.page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
    expect(await now()).toBe('1');
  });

  test('seed, stop strings and logit bias reach the engine; the seed used can be pinned', async () => {
    await open();
    await ask('Hello');
    await finished();
    for (const title of ['Seed', 'Stop strings', 'Logit bias'])
      await stage.page.locator('.fold summary').filter({ hasText: title }).click();
    await stage.page.getByRole('complementary').getByRole('button', { name: 'Pin' }).click();
    await stage.page.getByRole('textbox', { name: 'New stop string' }).fill('\\n\\nUser:');
    await stage.page.getByRole('textbox', { name: 'New stop string' }).press('Enter');
    await stage.page.getByRole('textbox', { name: 'Text to bias' }).fill('sunny');
    await stage.page.getByRole('button', { name: 'Add bias' }).click();
    await stage.page.locator('.biases li').waitFor();
    await action('Write this answer again').click();
    await expect.poll(() => scripted.generated.length).toBe(2);
    expect(scripted.generated[1]!.sampling).toMatchObject({
      seed: 123456789,
      stop: ['\n\nUser:'],
      logitBias: { 5: 5 },
    });
    await stage.page.getByRole('button', { name: 'Reset all' }).click();
    expect(await stage.page.locator('.biases li').count()).toBe(0);
  });
});

describe('the engine', () => {
  test('that is off is started; loading and failure are shown where one looks, with a remedy', async () => {
    await open({ engine: { kind: 'off' } });
    await expect.poll(() => scripted.calls.map(({ method }) => method)).toEqual(['startEngine']);
    await stage.host.call('engineState', {
      kind: 'loading',
      modelName: 'M',
      message: 'Reading weights',
      fraction: 0.4,
    });
    expect(await stage.page.locator('.notice.loading').innerText()).toContain('Reading weights');
    expect(await stage.page.getByRole('progressbar').getAttribute('aria-valuenow')).toBe('40');
    const error = { code: 'model-damaged' as const, message: 'A file is altered. Reinstall Glasshead.' };
    await stage.host.call('engineState', { kind: 'failed', error });
    expect(await stage.page.locator('.notice.is-error').innerText()).toContain('A file is altered.');
    await button('Retry').click();
    await button('Show log').click();
    await expect
      .poll(() => scripted.calls.map(({ method }) => method))
      .toEqual(['startEngine', 'startEngine', 'showLog']);
  });
});

describe('everyone', () => {
  test.each([1200, 300])('finds a name on every control and no sideways scrolling at %i pixels', async (width) => {
    await open({}, { width, height: 800 });
    await ask('Hello');
    await finished();
    if (width < 760) await stage.page.getByRole('button', { name: 'Settings' }).click();
    await stage.page.evaluate(() => {
      for (const fold of document.querySelectorAll('details')) fold.open = true;
    });
    const nameless = await stage.page.evaluate(() => {
      const named = (element: Element) => {
        const labels = (element as HTMLInputElement).labels?.length ?? 0;
        const aria = element.getAttribute('aria-label') ?? element.getAttribute('aria-labelledby');
        return labels > 0 || aria || (element.textContent ?? '').trim() !== '';
      };
      const roots: ParentNode[] = [document];
      for (const one of document.querySelectorAll('glass-slider')) roots.push(one.shadowRoot!);
      const controls = 'button, input, select, textarea, vscode-button, vscode-checkbox, [role=slider], [role=group]';
      return roots.flatMap((root) =>
        [...root.querySelectorAll(controls)].filter((one) => !named(one)).map((one) => one.outerHTML.slice(0, 120)),
      );
    });
    expect(nameless).toEqual([]);
    const overflow = await stage.page.evaluate(() =>
      [...document.querySelectorAll('body, .scroller, .settings, .bottom')]
        .filter((one) => one.scrollWidth > one.clientWidth + 1)
        .map((one) => one.className),
    );
    expect(overflow).toEqual([]);
  });
});
