import { expect, test } from 'vitest';
import { ContextWindow } from '../../../src/completions/context.ts';
import { ScriptedEngine, wordTokens } from './scripted-engine.ts';

const lines = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => `line ${from + i} has six tokens\n`).join('');

async function choose(text: string, limitTokens: number) {
  return new ContextWindow(new ScriptedEngine()).choose(text, { limitTokens });
}

test('a short document is read whole', async () => {
  expect(await choose(`${lines(3)}x = `, 256)).toBe(`${lines(3)}x = `);
  expect(await choose('', 256)).toBe('');
});

test('a long one from the first line start with at most the limit after it', async () => {
  const text = `${lines(300)}x = `;
  const chosen = await choose(text, 100);
  expect(text.endsWith(chosen)).toBe(true);
  expect(chosen).toMatch(/^line \d+ has six tokens\n/);
  const count = wordTokens(chosen).length;
  expect(count).toBeLessThanOrEqual(100);
  expect(count).toBeGreaterThan(100 - 2 * wordTokens('line 1 has six tokens\n').length);
});

test('exactly the limit is read whole', async () => {
  const text = lines(10);
  expect(await choose(text, wordTokens(text).length)).toBe(text);
  expect(await choose(text, wordTokens(text).length - 1)).toBe(lines(9, 1));
});

test('one line longer than the limit is cut at a token', async () => {
  const text = `first\n${'word '.repeat(400)}end`;
  const chosen = await choose(text, 50);
  expect(text.endsWith(chosen)).toBe(true);
  expect(wordTokens(chosen).length).toBe(50);
});

test('tokens of one character do not make the context shorter', async () => {
  const text = lines(400).replace(/\S+/g, '@ @ @ @');
  expect(wordTokens(await choose(text, 200)).length).toBeGreaterThan(150);
});

test('tokens of many characters do not make it longer than the limit', async () => {
  const text = `${'internationalization '.repeat(8)}\n`.repeat(100);
  const chosen = await choose(text, 200);
  expect(wordTokens(chosen).length).toBeGreaterThan(150);
  expect(wordTokens(chosen).length).toBeLessThanOrEqual(200);
});

test('while typing the start stays, until the text has grown by half', async () => {
  const window = new ContextWindow(new ScriptedEngine());
  const text = lines(300);
  const first = await window.choose(text, { limitTokens: 100 });
  const typed = await window.choose(`${text}x = call`, { limitTokens: 100 });
  expect(typed).toBe(`${first}x = call`);
  const much = `${text}${lines(20, 300)}`;
  const anew = await window.choose(much, { limitTokens: 100 });
  expect(anew.startsWith(first)).toBe(false);
  expect(wordTokens(anew).length).toBeLessThanOrEqual(100);
});

test('far above, with nearly nothing left of the old context, it starts anew', async () => {
  const window = new ContextWindow(new ScriptedEngine());
  const first = await window.choose(lines(300), { limitTokens: 100 });
  const above = lines(300).slice(0, lines(300).length - first.length + 40);
  const second = await window.choose(above, { limitTokens: 100 });
  expect(wordTokens(second).length).toBeGreaterThan(80);
  expect(above.endsWith(second)).toBe(true);
});
