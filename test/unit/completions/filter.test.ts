import { expect, test } from 'vitest';
import { balanceOf } from '../../../src/completions/brackets.ts';
import { filterSuggestion, isDegenerate, refusePlace } from '../../../src/completions/filter.ts';

/** "before|after", then the next line. */
function at(line: string, nextLine = '') {
  const [linePrefix = '', lineSuffix = ''] = line.split('|');
  return { linePrefix, lineSuffix, nextLine };
}

const shown = (answer: string, line: string, nextLine?: string) => {
  const found = filterSuggestion(answer, at(line, nextLine));
  return found.kind === 'text' ? found.text : `(${found.reason})`;
};

test.each([
  ['a line', 'foo(bar)', 'x = |', 'foo(bar)'],
  ['only the first line', 'foo(bar)\nbaz', 'x = |', 'foo(bar)'],
  ['blanks at its end dropped', 'foo  \r\n', 'x = |', 'foo'],
  ['blanks at its start kept', '    return x', '|', '    return x'],
])('%s', (_, answer, line, expected) => expect(shown(answer, line)).toBe(expected));

test.each([
  ['', 'x = |', 'the model ends the line here'],
  ['   \n', 'x = |', 'the model ends the line here'],
  ['\t', '|', 'the model ends the line here'],
  [' foo foo foo foo foo', 'x|', 'the model repeats itself'],
])('nothing for %j', (answer, line, reason) => expect(shown(answer, line)).toBe(`(${reason})`));

test.each([
  ['a bracket that stands there', 'bar)', 'foo(|)', 'bar'],
  ['several closers', 'bar)]', 'x[foo(|)]', 'bar'],
  ['a quote and a bracket', 'name")', 'print("|")', 'name'],
  ['its own bracket stays', 'bar(1)', 'foo(|)', 'bar(1)'],
  ['its own string stays', '"name"', 'foo(|)', '"name"'],
  ['words that follow', 'left, right)', 'add(|, right)', 'left'],
  ['a part of the words that follow', 'left, ', 'add(|, right)', 'left'],
  ['more than what follows', 'left, right) + 1', 'add(|, right)', 'left'],
  ['words that do not follow', 'left)', 'add(|, right)', '(it does not lead to the text after the cursor)'],
  ['all of it stands there', ')', 'foo(bar|)', '(the text after the cursor says it already)'],
])('text after the cursor: %s', (_, answer, line, expected) => expect(shown(answer, line)).toBe(expected));

test('a longer end than the bracket that the editor closed by itself replaces it', () => {
  expect(filterSuggestion('bar);', at('foo(|)'))).toEqual({ kind: 'text', text: 'bar);', replaces: 1 });
  expect(filterSuggestion('a")', at('foo("|")'))).toEqual({ kind: 'text', text: 'a', replaces: 0 });
  expect(filterSuggestion('bar(1);', at('foo(|)'))).toEqual({ kind: 'text', text: 'bar(1);', replaces: 0 });
});

test.each([
  ['the same line', 'return None', '    |', '    return None', '(the next line says the same)'],
  ['the same line, half typed', 'turn None', '    re|', '    return None', '(the next line says the same)'],
  ['another line', 'return x', '    |', '    return None', 'return x'],
  ['a bracket that the next line closes', 'a, b)', 'foo(|', ')', 'a, b'],
  ['nothing but that bracket', ')', 'foo(a|', ')', '(the next line closes this already)'],
  ['a bracket that closes something further out', 'a)', '  foo(|', ')', 'a)'],
  ['its own bracket', 'bar(a)', 'foo(|', ')', 'bar(a)'],
])('next line: %s', (_, answer, line, nextLine, expected) => expect(shown(answer, line, nextLine)).toBe(expected));

test('an answer that was cut short loses its last, maybe half word', () => {
  expect(filterSuggestion('foo(bar, ba', at('|'), true)).toEqual({ kind: 'text', text: 'foo(bar,', replaces: 0 });
  expect(filterSuggestion('foo\nba', at('|'), true)).toEqual({ kind: 'text', text: 'foo', replaces: 0 });
});

test.each([
  ['pri|nt(x)', 'the cursor is inside a word'],
  ['foo(|bar)', 'a word follows the cursor'],
  ['foo(|)', undefined],
  ['foo|', undefined],
  ['foo| bar', undefined],
])('refused at %s: %s', (line, reason) => {
  expect(refusePlace(at(line))).toBe(reason);
  expect(refusePlace(at(line), true)).toBeUndefined();
});

test.each([
  ['the the the the the end', true],
  ['a.b.a.b.a.b.a.b.a.b.', true],
  ['---------------------', false],
  ['0, 0, 0, 0, 0, 0, 0, 0', false],
  ['[a, b, c, d, e, f]', false],
  ['aaaaaaaaaa', false],
  ['x = x + x * x - x', false],
])('%s is degenerate: %s', (text, expected) => expect(isDegenerate(text)).toBe(expected));

test('brackets and quotes', () => {
  expect(balanceOf('foo(a[1])')).toEqual({ open: [], closed: [], quote: undefined });
  expect(balanceOf('foo(a[1')).toEqual({ open: ['(', '['], closed: [], quote: undefined });
  expect(balanceOf('a)]}')).toEqual({ open: [], closed: [')', ']', '}'], quote: undefined });
  expect(balanceOf('say ")(" + "')).toEqual({ open: [], closed: [], quote: '"' });
  expect(balanceOf('name")', '"')).toEqual({ open: [], closed: ['"', ')'], quote: undefined });
  expect(balanceOf("it isn't (")).toEqual({ open: ['('], closed: [], quote: undefined });
  expect(balanceOf('"a\\"b')).toEqual({ open: [], closed: [], quote: '"' });
});
