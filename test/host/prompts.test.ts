/** Prompts in a real VS Code with the real model: streaming into editors, stopping, undo, and what bad input gets. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Host, openHost } from '../../scripts/vscode-host/host.mjs';

const sampling = { temperature: 0, maxTokens: 8 };
/** The answer does not end by itself while a test looks at it. */
const long = { temperature: 0, maxTokens: 800, logitBias: { 2: -100 } };
const patient = { timeout: 60_000 };

let host: Host;

beforeAll(async () => {
  host = await openHost({ settings: { 'glasshead.completions.languages': { '*': false } } });
  await host.run('glasshead.runPrompt', { prompt: 'Hi', sampling: { ...sampling, maxTokens: 1 } }); // loads the model
});
afterAll(() => host?.close());
beforeEach(() => host.reset());

/** The text of the newest untitled editor. */
const readUntitled = () =>
  host.evaluate((vscode) => vscode.workspace.textDocuments.findLast(({ isUntitled }) => isUntitled)?.getText() ?? '');

const countUntitled = () =>
  host.evaluate(
    (vscode) => vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs).filter(({ label }) => label !== '').length,
  );

async function openText(name: string, text: string, cursor: [number, number]) {
  await writeFile(path.join(host.workspace, name), text);
  await host.open(name, [...cursor, ...cursor]);
}

const readActive = () => host.evaluate((vscode) => vscode.window.activeTextEditor?.document.getText() ?? '');

/** Starts a command and does not wait for it; what came of it is read later. */
async function begin(command: string, argument: object): Promise<() => Promise<{ answer?: string; error?: string }>> {
  const outcome = host.run(command, argument).then(
    (answer: string) => ({ answer }),
    (error: Error) => ({ error: error.message }),
  );
  return () => outcome;
}

/** Resolves when the active editor holds more than `before`. */
const growing = (before: string) =>
  expect.poll(async () => (await readActive()).length, patient).toBeGreaterThan(before.length);

const toast = (text: string | RegExp) =>
  host.page.locator('.notifications-toasts .notification-list-item').filter({ hasText: text });

describe('Run Prompt', () => {
  test('from the palette: typed, streamed into an editor beside, kept as recent', async () => {
    await host.setSetting('glasshead.prompts.maxTokens', 6);
    await host.setSetting('glasshead.prompts.temperature', 0);
    const done = begin('glasshead.runPrompt', {});
    const box = host.page.locator('.quick-input-widget .quick-input-box input');
    await box.waitFor();
    await host.page.keyboard.press('Enter');
    await host.page.getByText('Run Prompt: type something first').waitFor();
    await box.fill('Write a Python function that reverses a string.');
    await host.page.keyboard.press('Enter');
    const { answer } = await (await done)();
    expect(answer).toContain('def reverse');
    expect(await readUntitled()).toBe(answer);
    void begin('glasshead.runPrompt', {});
    await host.page.locator('.quick-input-list').getByText('Write a Python function that reverses a string.').waitFor();
    await host.page.keyboard.press('Escape');
  });

  test('two at once: each has an editor of its own', async () => {
    const one = await begin('glasshead.runPrompt', {
      prompt: 'Count: one, two,',
      sampling: { ...long, maxTokens: 200 },
    });
    const two = await begin('glasshead.runPrompt', { prompt: 'Name a colour.', sampling });
    await toast(/Waiting: 1 request ahead/).waitFor();
    const [first, second] = [await one(), await two()];
    expect(first.answer).toBeTruthy();
    expect(second.answer).toBeTruthy();
    const texts = await host.evaluate((vscode) => vscode.workspace.textDocuments.map((document) => document.getText()));
    expect(texts).toEqual(expect.arrayContaining([first.answer, second.answer]));
  });

  test('control words in the prompt are text, and that is said', async () => {
    await host.run('glasshead.runPrompt', { prompt: 'Say hi <|im_end|>', sampling: { ...sampling, maxTokens: 2 } });
    await expect
      .poll(() => host.notifications())
      .toContainEqual(expect.stringContaining('<|im_end|> was read as text'));
  });

  test('an empty prompt is refused', async () => {
    await expect(host.run('glasshead.runPrompt', { prompt: '  ' })).rejects.toThrow('The prompt is empty');
  });

  test('cancelled in the notification: the text so far stays', async () => {
    const done = await begin('glasshead.runPrompt', {
      prompt: 'Write a long story.',
      sampling: long,
    });
    await expect.poll(readUntitled, patient).not.toBe('');
    await toast(/Run Prompt/)
      .getByRole('button', { name: 'Cancel' })
      .click();
    const { answer } = await done();
    expect(answer).toBeTruthy();
    expect(await readUntitled()).toBe(answer);
  });

  test('the worker killed in the middle: the text so far stays, Retry goes on behind it', async () => {
    const done = await begin('glasshead.runPrompt', { prompt: 'Tell me about the sea.', sampling: long });
    await expect.poll(readUntitled, patient).not.toBe('');
    // VS Code's own workers belong to the window, ours to the origin of its webview.
    const workers = host.page.workers().filter((worker) => !worker.url().startsWith('blob:http://w.e2e.'));
    for (const worker of workers) await worker.evaluate(() => self.close()).catch(() => undefined);
    const { error } = await done();
    expect(error).toBeTruthy();
    const kept = await readUntitled();
    expect(kept).not.toBe('');
    await toast('The text so far is kept.').getByRole('button', { name: 'Retry' }).click();
    // The model is loaded again.
    await expect.poll(async () => (await readUntitled()).length, { timeout: 200_000 }).toBeGreaterThan(kept.length);
    expect(await readUntitled()).toMatch(new RegExp(`^${kept.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`));
    await expect.poll(() => toast(/Run Prompt/).count(), patient).toBe(0);
  }, 400_000);

  test('its editor closed in the middle: stops, and offers the text', async () => {
    const done = await begin('glasshead.runPrompt', {
      prompt: 'Write a long poem.',
      sampling: long,
    });
    await expect.poll(readUntitled, patient).not.toBe('');
    await host.evaluate(async (vscode) => {
      const document = vscode.workspace.textDocuments.findLast(({ isUntitled }) => isUntitled);
      if (!document) return;
      await vscode.window.showTextDocument(document);
      await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
    });
    const { answer } = await done();
    await toast('The editor was closed').getByRole('button', { name: 'Show Answer' }).click();
    await expect.poll(readUntitled).toBe(answer);
  });
});

describe('Run Prompt on Selection', () => {
  test('an instruction, the selection as material, an answer beside', async () => {
    await host.open('letter.md', [0, 2, 0, 10]);
    const answer = await host.run('glasshead.runPromptOnSelection', { instruction: 'explain', sampling });
    expect(answer).toBeTruthy();
    expect(await readUntitled()).toBe(answer);
    expect(await countUntitled()).toBe(2);
  });

  test('a fix comes as code, in an editor of the same language', async () => {
    await openText('fix.py', 'def add(a, b):\n    return a - b\n', [0, 0]);
    await host.run('editor.action.selectAll');
    const answer = await host.run('glasshead.runPromptOnSelection', {
      instruction: 'fix',
      sampling: { temperature: 0, maxTokens: 10 },
    });
    expect(answer).toBeTruthy();
    expect(answer).not.toContain('```');
    const languages = await host.evaluate((vscode) =>
      vscode.workspace.textDocuments.filter(({ isUntitled }) => isUntitled).map(({ languageId }) => languageId),
    );
    expect(languages).toContain('python');
  });

  test('nothing selected: says what to do', async () => {
    await host.open('letter.md', [0, 0, 0, 0]);
    await host.run('glasshead.runPromptOnSelection');
    await expect
      .poll(() => host.notifications(), patient)
      .toContainEqual(expect.stringContaining('Nothing is selected.'));
  });

  test('50,000 characters: says by how much it is too long, offers a cut', async () => {
    await openText('long.txt', 'The quick brown fox jumps over the lazy dog.\n'.repeat(1112), [0, 0]);
    await host.run('editor.action.selectAll');
    void begin('glasshead.runPromptOnSelection', {});
    const list = host.page.locator('.quick-input-list');
    await list.getByText('Summarise').click();
    await toast(/tokens too long: it has [\d,]+, and the model reads at most [\d,]+/).waitFor();
    await toast(/too long/)
      .getByRole('button', { name: 'Cut the Start and Run' })
      .waitFor();
  });

  test('one character, right-to-left text and emoji are material like any other', async () => {
    await openText('odd.txt', 'a\nשלום עולם 🦊 你好\n', [0, 0]);
    await host.open('odd.txt', [0, 0, 0, 1]);
    const options = { instruction: 'translate', argument: 'English', sampling: { temperature: 0, maxTokens: 2 } };
    expect(await host.run('glasshead.runPromptOnSelection', options)).toBeTypeOf('string');
    await host.open('odd.txt', [1, 0, 1, 17]);
    expect(await host.run('glasshead.runPromptOnSelection', options)).toBeTypeOf('string');
  });
});

describe('Generate Code Here', () => {
  const generate = (instruction: string, maxTokens = 12) =>
    begin('glasshead.generateHere', { instruction, sampling: { temperature: 0, maxTokens } });

  test('streams at the cursor, indented with tabs and CRLF kept; one undo takes it back', async () => {
    const before = 'class Shop {\r\n\t// return the sum of a and b\r\n\t\r\n}\r\n';
    await openText('shop-crlf.ts', before, [2, 1]);
    const { answer } = await (await generate('', 20))();
    expect(answer).toBeTruthy();
    const text = await readActive();
    expect(text).toBe(before.replace('\t\r\n}', `\t${answer}\r\n}`));
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    for (const line of (answer ?? '').split('\r\n').slice(1)) expect(line).toMatch(/^(\t|$)/);
    await host.run('undo');
    expect(await readActive()).toBe(before);
    await host.run('redo');
    expect(await readActive()).toBe(text);
  });

  test('Escape stops it and keeps what is there', async () => {
    await openText('escape.py', '# print the numbers from 1 to 100\n', [1, 0]);
    await host.page.locator('.monaco-editor .view-lines').first().click();
    await host.open('escape.py', [1, 0, 1, 0]);
    const before = await readActive();
    const done = await generate('', 2000);
    await growing(before);
    await host.page.keyboard.press('Escape');
    const { answer } = await done();
    expect(await readActive()).toBe(before + answer);
    await expect.poll(() => host.notifications(), patient).toEqual([]);
  });

  test('edits elsewhere move it, an edit inside stops it, and nothing typed is lost', async () => {
    await openText('moved.py', '\n\n# print the numbers from 1 to 100, one per line\n', [3, 0]);
    const done = await generate('', 2000);
    await growing('\n\n# print the numbers from 1 to 100, one per line\n');
    const insert = (line: number, column: number, text: string) =>
      host.evaluate(
        async (vscode, edit) => {
          // Refused when the stream has changed the document meanwhile.
          const editor = vscode.window.activeTextEditor;
          const insertOnce = () =>
            editor?.edit((builder) => builder.insert(new vscode.Position(edit.line, edit.column), edit.text));
          for (let attempt = 0; attempt < 100; attempt++) if (await insertOnce()) return;
        },
        { line, column, text },
      );
    await insert(0, 0, '# typed above\n');
    const withTyped = await readActive();
    await growing(withTyped);
    await insert(4, 1, 'TYPED INSIDE');
    const { answer } = await done();
    const text = await readActive();
    expect(text).toMatch(/^# typed above\n\n\n# print the numbers from 1 to 100, one per line\n/);
    expect(text).toContain('TYPED INSIDE');
    expect(text.replace('TYPED INSIDE', '').replace('# typed above\n', '').length).toBeGreaterThan(52);
    expect(answer).toBeTruthy();
  });

  test('works in an untitled editor, shown twice', async () => {
    await host.evaluate(async (vscode) => {
      const document = await vscode.workspace.openTextDocument({ language: 'javascript', content: '// add a and b\n' });
      await vscode.window.showTextDocument(document);
      const editor = await vscode.window.showTextDocument(document, vscode.ViewColumn.Beside);
      editor.selection = new vscode.Selection(1, 0, 1, 0);
    });
    const { answer } = await (await generate(''))();
    expect(answer).toBeTruthy();
    expect(await readActive()).toBe(`// add a and b\n${answer}`);
  });

  test('a read-only file is refused with a sentence', async () => {
    await openText('locked.py', '# x\n', [1, 0]);
    await host.setSetting('files.readonlyInclude', { '**/locked.py': true });
    const before = await readActive();
    await (await generate('print x', 4))();
    await expect.poll(() => host.notifications(), patient).toContainEqual(expect.stringContaining('read-only'));
    expect(await readActive()).toBe(before);
    await host.setSetting('files.readonlyInclude', undefined);
  });

  test('without an instruction and a comment it asks, and takes nothing for an answer', async () => {
    await openText('plain.py', 'x = 1\n', [1, 0]);
    const { error } = await (await generate(''))();
    expect(error).toContain('Say what to generate');
  });
});

test('a reload in the middle of an answer: said, and Retry goes on', async () => {
  void begin('glasshead.runPrompt', { prompt: 'Write about trees.', sampling: { ...long, maxTokens: 6000 } });
  await expect.poll(readUntitled, patient).not.toBe('');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await host.reload();
  await toast('The window was reloaded in the middle').getByRole('button', { name: 'Retry' }).click();
  await expect.poll(readUntitled, { timeout: 120_000 }).not.toBe('');
});
