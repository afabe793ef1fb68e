/** What is kept of a model's answer, and that the cut into chunks does not matter. */
import { describe, expect, test } from 'vitest';
import { CodeFilter, type TextTransform } from '../../../src/prompts/code-filter.ts';
import { Indenter, type IndentStyle } from '../../../src/prompts/indenter.ts';

function runWhole(transform: TextTransform, text: string): string {
  return transform.push(text) + transform.end();
}

function runChunked(transform: TextTransform, text: string, random: () => number): string {
  let out = '';
  for (let at = 0; at < text.length; ) {
    const size = 1 + Math.floor(random() * 7);
    out += transform.push(text.slice(at, at + size));
    at += size;
  }
  return out + transform.end();
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const cases: readonly { name: string; answer: string; startsInside?: boolean; kept: string }[] = [
  { name: 'bare code', answer: 'x = 1\ny = 2\n', kept: 'x = 1\ny = 2' },
  {
    name: 'a remark, a fence, an explanation',
    answer: 'Sure! Here is the function:\n\n```python\ndef f():\n    return 1\n```\n\nThis function returns 1.\n',
    kept: 'def f():\n    return 1',
  },
  { name: 'two blocks: the first', answer: '```js\na();\n```\nor\n```js\nb();\n```', kept: 'a();' },
  { name: 'an open fence in the prompt', answer: 'a = 1\n```\nExplanation: none.', startsInside: true, kept: 'a = 1' },
  { name: 'the prompt’s fence opened again', answer: '```python\na = 1\n```', startsInside: true, kept: 'a = 1' },
  { name: 'a fence that closes at once', answer: '```\nI cannot do that.', startsInside: true, kept: '' },
  { name: 'a fence that never closes', answer: '```\na\n\n  b', kept: 'a\n\n  b' },
  { name: 'a fence behind code on its line', answer: 'return x```\nDone.', startsInside: true, kept: 'return x' },
  { name: 'a longer fence around a shorter one', answer: '````md\n```\na\n```\n````\nthat is it', kept: '```\na\n```' },
  { name: 'tildes', answer: '~~~\na\n~~~\nb', kept: 'a' },
  { name: 'backticks in code', answer: 'const a = `x`;\nconst b = ``;', kept: 'const a = `x`;\nconst b = ``;' },
  { name: 'a line that begins with backticks', answer: '`a` + b', kept: '`a` + b' },
  {
    name: 'a closing remark without fences',
    answer: 'int a = 1;\n\nThis code sets a to 1.',
    kept: 'int a = 1;',
  },
  { name: 'blank lines at both ends', answer: '\n\n  a\n\n\n', kept: '  a' },
  { name: 'blank lines inside', answer: 'a\n\n\nb', kept: 'a\n\n\nb' },
  { name: 'code that begins like a remark', answer: 'this.x = 1;\nok();', kept: 'this.x = 1;\nok();' },
  { name: 'code: to(x)', answer: 'to = 3\nsure = to', kept: 'to = 3\nsure = to' },
  { name: 'SQL', answer: 'SELECT name FROM users;', kept: 'SELECT name FROM users;' },
  { name: 'only a remark', answer: 'I am sorry, but I cannot do that.', kept: '' },
  { name: 'nothing', answer: '', kept: '' },
  { name: 'CRLF', answer: '```\r\na\r\nb\r\n```\r\n', kept: 'a\nb' },
  {
    name: 'other scripts',
    answer: 'Here is the code:\n```\nprint("héllo 你好 🦊")\n```',
    kept: 'print("héllo 你好 🦊")',
  },
];

describe('CodeFilter', () => {
  test.each(cases)('$name', ({ answer, startsInside = false, kept }) => {
    expect(runWhole(new CodeFilter({ startsInside }), answer)).toBe(kept);
  });

  test('says that nothing more can come once the fence is closed', () => {
    const filter = new CodeFilter({ startsInside: true });
    filter.push('a\n``');
    expect(filter.isDone).toBe(false);
    filter.push('`\n');
    expect(filter.isDone).toBe(true);
    expect(filter.push('b')).toBe('');
  });

  test('lets code through while its line is still being written', () => {
    const filter = new CodeFilter({ startsInside: true });
    expect(filter.push('return fib')).toBe('return fib');
    expect(filter.push('(n)')).toBe('(n)');
  });

  test('how the stream is cut never changes what is kept', () => {
    const random = seeded(7);
    const pieces = [
      '```',
      '`',
      '``',
      '\n',
      '\n\n',
      '\r\n',
      'a = 1',
      '  ',
      '\t',
      'Sure! ',
      'Here is the code:',
      '~~~',
      '🦊',
    ];
    pieces.push('This function works.', 'this.x = 2;', 'Note that it is slow.', '```python\n', 'Sure', 'to ');
    for (let round = 0; round < 3000; round++) {
      const length = 1 + Math.floor(random() * 12);
      const text = Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)]).join('');
      const startsInside = random() < 0.5;
      const whole = runWhole(new CodeFilter({ startsInside }), text);
      expect(runChunked(new CodeFilter({ startsInside }), text, random), JSON.stringify(text)).toBe(whole);
    }
  });
});

const spaces: IndentStyle = { base: '    ', unit: '    ', eol: '\n' };
const tabs: IndentStyle = { base: '\t', unit: '\t', eol: '\r\n' };

describe('Indenter', () => {
  test.each([
    { name: 'base before all lines but the first', style: spaces, code: 'a\nb', out: 'a\n    b' },
    { name: 'the model’s own base is dropped', style: spaces, code: '  a\n  b\n    c', out: 'a\n    b\n        c' },
    {
      name: 'spaces become tabs, line ends the document’s',
      style: tabs,
      code: 'a {\n  b {\n    c',
      out: 'a {\r\n\t\tb {\r\n\t\t\tc',
    },
    { name: 'tabs become spaces', style: spaces, code: 'a {\n\tb {\n\t\tc', out: 'a {\n        b {\n            c' },
    {
      name: 'four columns become two',
      style: { base: '', unit: '  ', eol: '\n' } as IndentStyle,
      code: 'a\n    b\n        c',
      out: 'a\n  b\n    c',
    },
    { name: 'alignment stays alignment', style: spaces, code: 'f(a,\n      b)', out: 'f(a,\n          b)' },
    { name: 'never left of the base', style: spaces, code: '    a\nb', out: 'a\n    b' },
    { name: 'blank lines stay empty', style: spaces, code: 'a\n   \nb', out: 'a\n\n    b' },
  ])('$name', ({ style, code, out }) => {
    expect(runWhole(new Indenter(style), code)).toBe(out);
  });

  test('how the stream is cut never changes the result', () => {
    const random = seeded(11);
    const pieces = ['\n', ' ', '  ', '\t', 'a', 'if x:', '🦊', '\r\n', '    '];
    for (let round = 0; round < 2000; round++) {
      const text = Array.from({ length: 12 }, () => pieces[Math.floor(random() * pieces.length)]).join('');
      const style = random() < 0.5 ? spaces : tabs;
      expect(runChunked(new Indenter(style), text, random)).toBe(runWhole(new Indenter(style), text));
    }
  });
});
