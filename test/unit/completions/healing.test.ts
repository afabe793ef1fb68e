import { expect, test } from 'vitest';
import { splitForHealing } from '../../../src/completions/healing.ts';

test.each([
  ['a half-typed word with its space', 'return val', 'return', ' val'],
  ['a word that stands complete', 'for x in', 'for x', ' in'],
  ['a word after punctuation', 'self.fooBar', 'self.', 'fooBar'],
  ['an identifier with underscores and digits', '  my_var2', ' ', ' my_var2'],
  ['a run of punctuation with its space', 'if a &&', 'if a', ' &&'],
  ['an open bracket', 'print(', 'print', '('],
  ['a trailing space', 'return ', 'return', ' '],
  ['one of several spaces', 'x\n    ', 'x\n   ', ' '],
  ['a tab', 'x\n\t\t', 'x\n\t', '\t'],
  ['a tab before a word', 'x\n\t\tfoo', 'x\n\t', '\tfoo'],
  ['nothing after a line break', 'x = 1\n', 'x = 1\n', ''],
  ['a word at the start of a line', 'x\nfoo', 'x\n', 'foo'],
  ['a word at the start of a document', 'foo', '', 'foo'],
  ['nothing', '', '', ''],
  ['words of other scripts', 'x = "слово', 'x = "', 'слово'],
  ['a combining accent', 'cafe\u0301', '', 'cafe\u0301'],
  ['an emoji is punctuation, whole', 'a 👍🏽', 'a', ' 👍🏽'],
])('%s', (_, text, prompt, heal) => {
  expect(splitForHealing(text)).toEqual({ prompt, heal });
});

test('data without a break is left alone', () => {
  const text = `key = ${'a1b2'.repeat(40)}`;
  expect(splitForHealing(text)).toEqual({ prompt: text, heal: '' });
  expect(splitForHealing('-'.repeat(80)).heal).toBe('');
});
