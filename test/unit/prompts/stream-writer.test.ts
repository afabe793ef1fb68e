/** A stream into a document that others edit too: place, undo steps, and nothing lost. */
import { describe, expect, test } from 'vitest';
import { AnchoredRange, type TextChange } from '../../../src/prompts/anchored-range.ts';
import {
  type InsertOptions,
  type InsertOutcome,
  StreamWriter,
  type TextSink,
  type WriterStop,
} from '../../../src/prompts/stream-writer.ts';

/** A document with versions, like VS Code's: an edit made for an older version is refused. */
class FakeDocument implements TextSink {
  text: string;
  isHidden = false;
  isReadOnly = false;
  readonly stops: InsertOptions[] = [];
  writer: StreamWriter | undefined;
  #version = 0;
  /** Edits by others that arrive while one of ours is on its way. */
  readonly meanwhile: TextChange[] = [];

  constructor(text: string) {
    this.text = text;
  }

  edit(...changes: TextChange[]): void {
    this.#version++;
    for (const { rangeOffset, rangeLength, text } of [...changes].sort((a, b) => b.rangeOffset - a.rangeOffset))
      this.text = this.text.slice(0, rangeOffset) + text + this.text.slice(rangeOffset + rangeLength);
    this.writer?.follow(changes);
  }

  async insert(offset: number, text: string, options: InsertOptions): Promise<InsertOutcome> {
    const version = this.#version;
    await Promise.resolve();
    const other = this.meanwhile.shift();
    if (other) {
      this.edit(other);
      return 'again';
    }
    if (version !== this.#version) return 'again';
    if (this.isHidden && !options.isLast) return 'hidden';
    if (this.isReadOnly) return 'done'; // VS Code says so, and nothing changes
    this.stops.push(options);
    if (text !== '') this.edit({ rangeOffset: offset, rangeLength: 0, text });
    return 'done';
  }

  async pause(): Promise<void> {
    await Promise.resolve();
  }
}

function open(text: string, offset: number) {
  const document = new FakeDocument(text);
  const stops: WriterStop[] = [];
  const writer = new StreamWriter(document, offset, (reason) => stops.push(reason));
  document.writer = writer;
  return { document, writer, stops };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('StreamWriter', () => {
  test('writes in order, in one undo step', async () => {
    const { document, writer } = open('<>', 1);
    for (const piece of ['a', 'b', 'c', 'd']) {
      writer.write(piece);
      await Promise.resolve();
    }
    await writer.finish();
    expect(document.text).toBe('<abcd>');
    expect(document.stops.map(({ undoStopBefore }) => undoStopBefore)).toEqual(
      document.stops.map((_, index) => index === 0),
    );
    expect(document.stops.map(({ undoStopAfter }) => undoStopAfter)).toEqual(
      document.stops.map((_, index) => index === document.stops.length - 1),
    );
  });

  test('follows edits made before it, and leaves those after it alone', async () => {
    const { document, writer, stops } = open('one|three', 4);
    writer.write('A');
    await settle();
    document.edit({ rangeOffset: 0, rangeLength: 3, text: 'eleven' });
    document.edit({ rangeOffset: document.text.length, rangeLength: 0, text: '!' });
    writer.write('B');
    await writer.finish();
    expect(document.text).toBe('eleven|ABthree!');
    expect(stops).toEqual([]);
    expect(document.stops.map(({ undoStopBefore }) => undoStopBefore)).toEqual([true, true, false]);
  });

  test('tries again when the document changed on the way', async () => {
    const { document, writer } = open('ab', 2);
    document.meanwhile.push(
      { rangeOffset: 0, rangeLength: 0, text: 'xx' },
      { rangeOffset: 0, rangeLength: 1, text: '' },
    );
    writer.write('END');
    await writer.finish();
    expect(document.text).toBe('xabEND');
  });

  test.each([
    ['inside', { rangeOffset: 2, rangeLength: 0, text: '#' }, '<a#bc>'],
    ['over its start', { rangeOffset: 0, rangeLength: 2, text: '' }, 'bc>'],
    ['over all of it (undo)', { rangeOffset: 1, rangeLength: 3, text: '' }, '<>'],
    ['right behind it', { rangeOffset: 4, rangeLength: 0, text: '#' }, '<abc#>'],
  ])('an edit %s ends the stream and keeps both', async (_name, change, text) => {
    const { document, writer, stops } = open('<>', 1);
    writer.write('abc');
    await settle();
    document.edit(change);
    writer.write('never');
    await writer.finish();
    expect(document.text).toBe(text);
    expect(stops).toEqual(['edited']);
    expect(writer.unwritten).toBe('never');
  });

  test('waits while no editor shows the document, and writes it all at the end in any case', async () => {
    const { document, writer } = open('', 0);
    document.isHidden = true;
    writer.write('a');
    writer.write('b');
    await settle();
    expect(document.text).toBe('');
    document.isHidden = false;
    writer.wake();
    await settle();
    expect(document.text).toBe('ab');
    document.isHidden = true;
    writer.write('c');
    await writer.finish();
    expect(document.text).toBe('abc');
  });

  test('says so when the editor takes no text', async () => {
    const { document, writer, stops } = open('', 0);
    document.isReadOnly = true;
    writer.write('a');
    await writer.finish();
    expect(stops).toEqual(['refused']);
  });

  test('writes in a step of its own after finish', async () => {
    const { document, writer } = open('', 0);
    writer.write('a');
    await writer.finish();
    writer.write('b');
    await writer.finish();
    expect(document.text).toBe('ab');
    expect(document.stops.filter(({ undoStopBefore }) => undoStopBefore)).toHaveLength(2);
  });

  test('nothing that anyone typed is ever lost, whatever happens when', async () => {
    let state = 3;
    const random = (limit: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    for (let round = 0; round < 300; round++) {
      const { document, writer } = open('0123456789', random(11));
      let typed = 0;
      let written = '';
      for (let step = 0; step < 12; step++) {
        const what = random(3);
        if (what === 0) {
          document.edit({ rangeOffset: random(document.text.length + 1), rangeLength: 0, text: '#' });
          typed++;
        } else {
          const piece = String.fromCharCode(97 + step);
          writer.write(piece);
          written += piece;
        }
        if (random(2) === 0) await settle();
      }
      await writer.finish();
      expect(document.text.replace(/[^#]/g, '')).toHaveLength(typed);
      expect(document.text.replace(/[^\d]/g, '')).toBe('0123456789');
      const letters = document.text.replace(/[^a-z]/g, '');
      expect(written.startsWith(letters)).toBe(true);
      if (writer.stopped === undefined) expect(document.text).toContain(written);
    }
  });
});

describe('AnchoredRange', () => {
  test('an empty range goes along with what is typed at it', () => {
    const range = new AnchoredRange(3);
    expect(range.follow([{ rangeOffset: 3, rangeLength: 0, text: 'xy' }])).toBe(true);
    expect([range.start, range.end]).toEqual([5, 5]);
  });

  test('an empty range survives the removal of what is around it', () => {
    const range = new AnchoredRange(5);
    expect(range.follow([{ rangeOffset: 2, rangeLength: 6, text: 'z' }])).toBe(true);
    expect(range.end).toBe(3);
  });

  test('several changes of one edit count as made at once', () => {
    const range = new AnchoredRange(10);
    range.grow(2);
    expect(
      range.follow([
        { rangeOffset: 20, rangeLength: 1, text: '' },
        { rangeOffset: 8, rangeLength: 1, text: 'abc' },
        { rangeOffset: 0, rangeLength: 4, text: '' },
      ]),
    ).toBe(true);
    expect([range.start, range.end]).toEqual([8, 10]);
  });
});
