import { expect, test } from 'vitest';
import { CompletionCache } from '../../../src/completions/cache.ts';

const place = (prefix: string, after = '\n', document = 'file:///a.py') => ({ document, prefix, after });
const text = (value: string) => ({ kind: 'text' as const, text: value, replaces: 0 });
const filled = () => {
  const cache = new CompletionCache();
  cache.add(place('x = '), text('foo(bar)'));
  return cache;
};

test('typing along keeps it, deleting brings it back', () => {
  const cache = filled();
  expect(cache.find(place('x = '))).toEqual(text('foo(bar)'));
  expect(cache.find(place('x = fo'))).toEqual(text('o(bar)'));
  expect(cache.find(place('x = fa'))).toBeUndefined();
  expect(cache.find(place('x = f'))).toEqual(text('oo(bar)'));
  expect(cache.find(place('x = foo(bar)'))).toBeUndefined();
});

test('only at the same place', () => {
  const cache = filled();
  expect(cache.find(place('x = ', ')\n'))).toBeUndefined();
  expect(cache.find(place('x = ', '\n', 'file:///b.py'))).toBeUndefined();
  expect(cache.find(place('y = 1\nx = '))).toBeUndefined();
  expect(cache.find(place('x ='))).toBeUndefined();
});

test('the newest at a place counts, and nearer places before further ones', () => {
  const cache = filled();
  cache.add(place('x = foo('), text('other)'));
  expect(cache.find(place('x = foo('))).toEqual(text('other)'));
  expect(cache.find(place('x = foo(b'))).toEqual(text('ar)'));
  cache.add(place('x = '), text('new'));
  expect(cache.find(place('x = '))).toEqual(text('new'));
});

test('where there was nothing to say it is not asked again', () => {
  const cache = new CompletionCache();
  const nothing = { kind: 'none' as const, reason: 'the model ends the line here' };
  cache.add(place('done'), nothing);
  expect(cache.find(place('done'))).toEqual(nothing);
  expect(cache.find(place('done;'))).toBeUndefined();
});

test('in long documents the end of the text decides', () => {
  const cache = new CompletionCache();
  const long = 'some line\n'.repeat(300);
  cache.add(place(`${long}x = `), text('foo'));
  expect(cache.find(place(`moved down\n${long}x = f`))).toEqual(text('oo'));
});

test('holds no more than its capacity', () => {
  const cache = new CompletionCache(2);
  for (const name of ['a', 'b', 'c']) cache.add(place(name), text('1'));
  expect(cache.find(place('a'))).toBeUndefined();
  expect(cache.find(place('b'))).toEqual(text('1'));
  cache.clear();
  expect(cache.find(place('b'))).toBeUndefined();
});
