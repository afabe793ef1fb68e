/** What the model reads: prompts, instructions about a selection, code at the cursor. */
import { describe, expect, test } from 'vitest';
import { endsInComment, readCommentAbove } from '../../../src/prompts/comment-above.ts';
import { findInsertionPlace } from '../../../src/prompts/insertion-place.ts';
import { findInstruction, type Instruction, instructions } from '../../../src/prompts/instructions.ts';
import { findLanguageId } from '../../../src/prompts/language-names.ts';
import {
  buildGeneratePrompt,
  buildPrompt,
  buildSelectionPrompt,
  fenced,
  lastLines,
} from '../../../src/prompts/prompt-building.ts';
import { RecentPrompts } from '../../../src/prompts/recent-prompts.ts';
import { UnfinishedAnswers } from '../../../src/prompts/unfinished-answers.ts';
import { defaultSampling } from '../../../src/shared/sampling-settings.ts';

const systemPrompt = '';

function selection(id: Instruction['id'], rest: { languageId?: string; argument?: string; material?: string } = {}) {
  const { languageId = 'python', argument = '', material = 'x = 1' } = rest;
  const instruction = findInstruction(id) as Instruction;
  return buildSelectionPrompt({ instruction, argument, material, languageId, systemPrompt });
}

function lastUser(built: { input: unknown }): string {
  const { messages } = built.input as { messages: { role: string; content: string }[] };
  return messages.findLast(({ role }) => role === 'user')?.content ?? '';
}

describe('prompts', () => {
  test('a system prompt is sent only when there is one', () => {
    expect(buildPrompt('hi', { systemPrompt: ' ' }).input).toEqual({
      kind: 'chat',
      messages: [{ role: 'user', content: 'hi' }],
    });
    expect(buildPrompt('hi', { systemPrompt: 'Be brief.' }).input).toMatchObject({
      messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user' }],
    });
  });

  test('material cannot close its own fence', () => {
    expect(fenced('a\n```\nb', 'markdown')).toBe('````markdown\na\n```\nb\n````');
    expect(fenced('`````', 'plaintext')).toBe('``````\n`````\n``````');
  });

  test.each(instructions.map(({ id }) => id))('%s: the selection is the material, fenced', (id) => {
    const text = lastUser(selection(id, { argument: 'French' }));
    expect(text).toContain('\n\n```python\nx = 1\n```');
    expect(text.indexOf('```')).toBeGreaterThan(5);
  });

  test('an answer that is code goes to an editor of that language, its fence open already', () => {
    expect(selection('fix')).toMatchObject({ languageId: 'python', isCode: true, startsInside: true });
    expect(selection('tests', { languageId: 'rust' })).toMatchObject({ languageId: 'rust', isCode: true });
    expect(selection('fix').input).toMatchObject({ continueLast: true });
    expect(selection('explain')).toMatchObject({ languageId: 'markdown', isCode: false });
    expect(selection('fix', { languageId: 'markdown' })).toMatchObject({ languageId: 'markdown', isCode: false });
  });

  test('a translation into a programming language is code', () => {
    expect(selection('translate', { argument: 'type script' })).toMatchObject({
      languageId: 'typescript',
      isCode: true,
    });
    expect(selection('translate', { argument: 'French' })).toMatchObject({ isCode: false });
    expect(findLanguageId('C++')).toBe('cpp');
  });

  test('code at the cursor gets the lines before it, from a line start', () => {
    const before = `${'# filler\n'.repeat(400)}def add(a, b):\n    `;
    const text = lastUser(buildGeneratePrompt({ instruction: 'add', before, languageId: 'python', systemPrompt }));
    expect(text.startsWith('Write Python code: add\n')).toBe(true);
    expect(text).toContain('# filler\ndef add(a, b):\n```');
    expect(text.length).toBeLessThan(1800);
    expect(lastLines('abc', 2)).toBe('bc');
    expect(lastLines('\n\n  a\nb\n\n', 100)).toBe('  a\nb');
  });
});

describe('the comment above the cursor', () => {
  test.each([
    ['python', ['x = 1', '# sort the', '# rows', ''], 'sort the rows'],
    ['python', ['    # by date'], 'by date'],
    ['python', ['def f():', '    """Sort the rows."""', '    '], 'Sort the rows.'],
    ['typescript', ['a();', '/// by date', ''], 'by date'],
    ['typescript', ['/**', ' * Sort the rows', ' * by date.', ' */', ''], 'Sort the rows by date.'],
    ['sql', ['-- all users', ''], 'all users'],
    ['html', ['<!-- a table -->', ''], 'a table'],
    ['python', ['# far away', '', '', '', ''], undefined],
    ['python', ['# done', 'x = 1', ''], undefined],
    ['markdown', ['# A heading', ''], undefined],
    ['typescript', ['x = 1 /* not alone */', ''], undefined],
    ['python', [''], undefined],
  ])('%s %j', (languageId, lines, comment) => {
    expect(readCommentAbove(lines, languageId)).toBe(comment);
  });

  test('a line that is code is no comment', () => {
    expect(endsInComment('  // todo', 'typescript')).toBe(true);
    expect(endsInComment('  foo();', 'typescript')).toBe(false);
  });
});

describe('where the code goes', () => {
  const place = (beforeOnLine: string, lineAbove = '', languageId = 'python') =>
    findInsertionPlace({ beforeOnLine, lineAbove, languageId, unit: '    ', eol: '\n' });

  test.each([
    ['behind a comment: a new line', place('  # sort'), '\n  ', '  '],
    ['behind an opening: a deeper line', place('  def f():'), '\n      ', '      '],
    ['in white space: there', place('      ', 'x = 1'), '', '      '],
    ['on an empty line: as the line above', place('', '    # sort'), '    ', '    '],
    ['on an empty line under an opening: deeper', place('', 'if x:'), '    ', '    '],
    ['in the middle of a line: there', place('  x = '), '', '  '],
  ])('%s', (_name, { lead, style }, wantedLead, wantedBase) => {
    expect([lead, style.base]).toEqual([wantedLead, wantedBase]);
  });
});

class Memento {
  readonly #values = new Map<string, unknown>();
  get<T>(key: string): T | undefined {
    return this.#values.get(key) as T | undefined;
  }
  async update(key: string, value: unknown): Promise<void> {
    this.#values.set(key, JSON.parse(JSON.stringify(value ?? null)));
  }
}

test('recent prompts: newest first, each once, removable, bounded', async () => {
  const recent = new RecentPrompts(new Memento());
  for (const prompt of ['a', 'b', 'a']) await recent.add(prompt);
  expect(recent.all).toEqual(['a', 'b']);
  await recent.remove('a');
  expect(recent.all).toEqual(['b']);
  for (let index = 0; index < 50; index++) await recent.add(`p${index}`);
  expect(recent.all).toHaveLength(30);
  await recent.clear();
  expect(recent.all).toEqual([]);
});

test('an answer that a reload cut off is told once', async () => {
  const store = new Memento();
  const answer = {
    id: '1',
    title: 'Explain',
    input: { kind: 'text' as const, text: 'x' },
    sampling: defaultSampling,
    languageId: 'markdown',
    isCode: false,
    startsInside: false,
    ids: [1],
    text: 'It',
  };
  new UnfinishedAnswers(store).keep(answer);
  const after = new UnfinishedAnswers(store);
  expect(await after.take()).toEqual([answer]);
  expect(await after.take()).toEqual([]);
  after.keep(answer);
  after.drop('1');
  expect(await new UnfinishedAnswers(store).take()).toEqual([]);
});
