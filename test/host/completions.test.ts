/** Inline completions in a real VS Code with the real model: shown late, typed along, accepted, turned off. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Host, openHost } from '../../scripts/vscode-host/host.mjs';

let host: Host;
const patient = { timeout: 120_000 };

beforeAll(async () => {
  host = await openHost({
    settings: { 'glasshead.completions.contextTokens': 64, 'editor.quickSuggestions': false },
  });
  await host.run('glasshead.loadModel');
});
afterAll(() => host?.close());
beforeEach(() => host.reset());

const subtract = 'def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    return ';
const ghosts = () => host.page.locator('.ghost-text-decoration');
const ghost = () => ghosts().first();
/** Drawn in pieces: blanks apart from words. */
const shown = async () => (await ghosts().allInnerTexts()).join('').replaceAll('\u00a0', ' ');

async function ghostText(): Promise<string> {
  await ghost()
    .waitFor(patient)
    .catch(async () => expect.fail(`There is no ghost text: ${await outcome()}`));
  return shown();
}

/** Opens a file with this text and the cursor at its end. */
async function open(name: string, text: string): Promise<void> {
  await writeFile(path.join(host.workspace, name), text);
  const lines = text.split('\n');
  const [line, column] = [lines.length - 1, lines.at(-1)!.length];
  await host.open(name, [line, column, line, column]);
  await host.page.getByText(`Ln ${line + 1}, Col ${column + 1}`).waitFor();
  await host.page.locator('.monaco-editor.focused').waitFor();
}

const documentText = () => host.evaluate((vscode) => vscode.window.activeTextEditor?.document.getText());

/** What came of the last completion, as the language's status item says it; the log has the same words. */
async function outcome(): Promise<string> {
  await host.page.mouse.move(640, 300);
  await host.page.locator('[id="status.languageStatus"]').hover();
  const hover = host.page.locator('.hover-language-status').filter({ hasText: 'Inline completions' });
  return hover.first().innerText({ timeout: 10_000 });
}

// First, for the editor makes its part for ghost text when it has time: what is typed before is never asked about.
test('Trigger Inline Suggestion gets an answer that comes late, too', async () => {
  await open('triggered.py', `${subtract}a`);
  await host.run('editor.action.inlineSuggest.trigger');
  expect(await ghostText()).toMatch(/^ \S/);
});

test('ghost text comes when it is ready, is kept while typing along, and Tab accepts it', async () => {
  await open('subtract.py', subtract.replaceAll('\n', '\r\n'));
  await host.page.keyboard.type('a');
  const whole = await ghostText();
  expect(whole).toMatch(/^ \S/);
  await expect.poll(outcome).toContain(`suggested ${whole.length} characters`);

  await host.page.keyboard.type(whole.slice(0, 2));
  await expect.poll(shown).toBe(whole.slice(2));
  await host.page.keyboard.press('Tab');
  await expect.poll(documentText).toBe(`${subtract.replaceAll('\n', '\r\n')}a${whole}`);
  expect(await host.notifications()).toEqual([]);
});

test('what was typed otherwise and deleted again brings it back without the model', async () => {
  await open('back.py', `# back\n${subtract}`);
  await host.page.keyboard.type('a');
  const whole = await ghostText();
  await host.page.keyboard.type('z');
  await ghost().waitFor({ state: 'hidden' });
  await host.page.keyboard.press('Backspace');
  await expect.poll(shown).toBe(whole);
});

test('a cursor that moves away leaves no suggestion behind', async () => {
  await open('moved.py', `# moved\n${subtract}`);
  await host.page.keyboard.type('a');
  await expect.poll(outcome, { timeout: 20_000 }).toMatch(/no suggestion: not there yet|suggested/);
  await host.page.keyboard.press('Home');
  await expect.poll(() => ghost().count(), { timeout: 20_000 }).toBe(0);
  await host.page.waitForTimeout(1000); // an answer that came late would show
  expect(await ghost().count()).toBe(0);
});

test('a language that is turned off gets none, with the reason', async () => {
  await open('off.py', `# off\n${subtract}`);
  await host.run('glasshead.toggleCompletions');
  await host.page.keyboard.type('a');
  await expect.poll(outcome, { timeout: 20_000 }).toContain('no suggestion: completions are off for python');
  expect(await outcome()).toContain('Inline completions off');
  expect(await ghost().count()).toBe(0);
  await host.run('glasshead.toggleCompletions');
  await host.page.keyboard.type('b');
  await expect
    .poll(outcome, { timeout: 20_000 })
    .toMatch(/Inline completions on\n(no suggestion: not there yet|suggested)/);
});

test('several cursors get none, with the reason', async () => {
  await open('cursors.py', 'x = 1\ny = 2');
  await host.evaluate((vscode) => {
    const editor = vscode.window.activeTextEditor!;
    editor.selections = [new vscode.Selection(0, 5, 0, 5), new vscode.Selection(1, 5, 1, 5)];
  });
  await host.page.getByText('2 selections').waitFor();
  await host.page.keyboard.type('0');
  await expect.poll(outcome, { timeout: 20_000 }).toContain('no suggestion: there are several cursors');
});
