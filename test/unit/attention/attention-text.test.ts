import { describe, expect, it } from 'vitest';
import { formatWeight, levelCount, levelFloor, levelOf } from '../../../src/shared/attention/levels.ts';
import { cutCount, shiftStart } from '../../../src/shared/attention/text-anchor.ts';
import { labelText, labelTokens, shortLabel } from '../../../src/shared/attention/token-label.ts';

describe('labels', () => {
  it.each([
    ['a line feed', '\n', '↵'],
    ['two line breaks of Windows', '\r\n\r\n', 'U+000D↵U+000D↵'],
    ['a tab', '\tx', '⇥x'],
    ['spaces', '  the', '··the'],
    ['a no-break space', '\u00a0', 'U+00A0'],
    ['a null and an escape', '\0\u001b', 'U+0000U+001B'],
    ['a delete', '\u007f', 'U+007F'],
    ['a C1 control', '\u0085', 'U+0085'],
    ['a zero-width space', 'a\u200bb', 'aU+200Bb'],
    ['a byte order mark', '\ufeff', 'U+FEFF'],
    ['a right-to-left override', '\u202e', 'U+202E'],
    ['an ideographic space', '\u3000', 'U+3000'],
    ['a line separator', '\u2028', 'U+2028'],
    ['a variation selector', '❤\ufe0f', '❤U+FE0F'],
    ['a lone surrogate', '\ud83d', 'U+D83D'],
    ['a private character', '\ue000', 'U+E000'],
    ['a lone combining accent', '\u0301', '◌\u0301'],
    ['a Hangul filler', '\u3164', 'U+3164'],
    ['an emoji', '😀', '😀'],
    ['Arabic', ' سلام', '·سلام'],
    ['Chinese', '你好', '你好'],
    ['nothing', '', '∅'],
  ])('%s', (_, text, label) => {
    expect(labelText(text)).toBe(label);
  });

  it('names the parts of a character that several tokens share', () => {
    const text = 'a😀 é';
    const part = { text: '\ufffd', start: 1, end: 3, isSpecial: false };
    const tokens = [
      { text: 'a', start: 0, end: 1, isSpecial: false },
      part,
      part,
      part,
      { text: ' é', start: 3, end: 5, isSpecial: false },
      { text: '<|im_end|>', start: 5, end: 5, isSpecial: true },
    ];
    expect(labelTokens(tokens, text)).toEqual(['a', '😀 1/3', '😀 2/3', '😀 3/3', '·é', '<|im_end|>']);
  });

  it('shows the character of a token that ends inside it', () => {
    const tokens = [
      { text: ' \ufffd', start: 0, end: 3, isSpecial: false },
      { text: '\ufffd', start: 1, end: 3, isSpecial: false },
    ];
    expect(labelTokens(tokens, ' 😀')).toEqual(['·😀', '😀']);
  });

  it('shows no space before a word where the text has none, as WordPiece spells it', () => {
    const words = [' so', ' ,', ' he', 'y', " '", ' s'];
    const ends = [2, 3, 6, 7, 8, 9];
    const starts = [0, 2, 4, 6, 7, 8];
    const tokens = words.map((text, i) => ({ text, start: starts[i]!, end: ends[i]!, isSpecial: false }));
    expect(labelTokens(tokens, "so, hey's")).toEqual(['·so', ',', '·he', 'y', "'", 's']);
  });

  it('cuts between characters', () => {
    expect(shortLabel('abc', 3)).toBe('abc');
    expect(shortLabel('😀😀😀😀', 3)).toBe('😀😀…');
  });
});

describe('levels', () => {
  it.each([
    [0, 0],
    [Number.NaN, 0],
    [1 / 1025, 0],
    [1 / 1024, 1],
    [1 / 513, 1],
    [1 / 512, 2],
    [0.49, 9],
    [0.5, 10],
    [1, 10],
    [1.0000001, 10],
  ])('%f is shaded with level %i', (weight, level) => {
    expect(levelOf(weight)).toBe(level);
  });

  it('opens each level at its floor', () => {
    for (let level = 1; level <= levelCount; level++) {
      expect(levelOf(levelFloor(level))).toBe(level);
      expect(levelOf(levelFloor(level) * 0.9999)).toBe(level - 1);
    }
  });

  it('never prints 0 for what is not 0', () => {
    expect([0, 1e-9, 0.00004, 0.00006, 0.12345, 1].map(formatWeight)).toEqual([
      '0.0000',
      '<0.0001',
      '<0.0001',
      '0.0001',
      '0.1235',
      '1.0000',
    ]);
  });
});

describe('a text in a document that changes', () => {
  it.each([
    ['an insertion before it', [{ rangeOffset: 0, rangeLength: 0, text: 'abc' }], 13],
    ['an insertion at its start', [{ rangeOffset: 10, rangeLength: 0, text: 'x' }], 11],
    ['a deletion before it', [{ rangeOffset: 4, rangeLength: 6, text: '' }], 4],
    ['a change inside it', [{ rangeOffset: 12, rangeLength: 2, text: 'zzzz' }], 10],
    [
      'several changes of the same document',
      [
        { rangeOffset: 30, rangeLength: 0, text: 'after' },
        { rangeOffset: 6, rangeLength: 1, text: '' },
        { rangeOffset: 0, rangeLength: 0, text: '🙂' },
      ],
      11,
    ],
  ])('%s', (_, changes, start) => {
    expect(shiftStart(10, changes)).toBe(start);
  });

  it('is cut between characters, and never to nothing', () => {
    const tokens = [
      { start: 0, end: 1 },
      { start: 1, end: 3 },
      { start: 1, end: 3 },
      { start: 1, end: 3 },
      { start: 3, end: 4 },
    ];
    expect([1, 2, 3, 4, 5, 9].map((limit) => cutCount(tokens, limit))).toEqual([1, 1, 1, 4, 5, 5]);
    expect(cutCount(tokens.slice(1), 2)).toBe(1);
    expect(cutCount([], 5)).toBe(0);
  });
});
