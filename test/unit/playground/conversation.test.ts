/** The playground's draft: every change a person or a run makes, versions and branches included. */
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { type Draft, draftSchema } from '../../../src/shared/playground-contract.ts';
import {
  addMessage,
  appendSteps,
  beginVersion,
  branchStart,
  continueStart,
  deleteMessage,
  editByHand,
  endVersion,
  freshStart,
  isEmpty,
  mendInterrupted,
  messageText,
  newDraft,
  openDraft,
  setBias,
  setRole,
  setSeed,
  setText,
  shownVersion,
  showVersion,
  trimmedLength,
} from '../../../webview/playground/conversation.ts';
import { nextInput, requestFor } from '../../../webview/playground/prompt-request.ts';
import { scriptStep } from '../../browser/support/scripted-playground.ts';

const words = ['Paris', ' is', ' nice', '.'];

/** A question with an answer of four tokens. Message 1 is the question, 3 the answer, 5 its generated version. */
function answered(): Draft {
  let draft = addMessage(newDraft('a', 0), 'user', 'Hello');
  draft = addMessage(draft, 'assistant', '');
  draft = beginVersion(draft, 3, freshStart);
  draft = appendSteps(
    draft,
    3,
    5,
    words.map((word, at) => scriptStep(word, at)),
  );
  return endVersion(draft, 3, 5, { status: 'done' });
}

const answer = (draft: Draft) => draft.messages.find(({ id }) => id === 3)!;
const texts = (draft: Draft) => draft.messages.map(messageText);

describe('versions of an answer', () => {
  test('an answer that never got a word makes room for the first that does', () => {
    expect(answer(answered()).versions.map(({ id, status }) => [id, status])).toEqual([[5, 'done']]);
    expect(texts(answered())).toEqual(['Hello', 'Paris is nice.']);
  });

  test('writing again keeps the earlier version, which can be returned to', () => {
    const again = beginVersion(answered(), 3, freshStart);
    expect(messageText(answer(again))).toBe('');
    expect(answer(again).shown).toBe(1);
    expect(messageText(answer(showVersion(again, 3, 0)))).toBe('Paris is nice.');
    expect(showVersion(again, 3, 7).messages).toEqual(again.messages);
  });

  test('a branch takes the tokens before it as they are, then the token that was picked', () => {
    const draft = answered();
    const from = shownVersion(answer(draft));
    const [alternative] = from.steps[2]!.alternatives.filter(({ logprob }) => logprob !== undefined);
    const start = branchStart(from, 2, alternative!);
    expect(start.steps.map(({ id }) => id)).toEqual([1000, 1001, alternative!.id]);
    expect(start.steps[2]).toMatchObject({ isPicked: true, logprob: alternative!.logprob });
    expect(start.steps[2]!.alternatives).toEqual(from.steps[2]!.alternatives);
    const branched = appendSteps(beginVersion(draft, 3, start), 3, 6, [scriptStep('!', 3)]);
    expect(messageText(answer(branched))).toBe(`Paris is${alternative!.text}!`);
    expect(shownVersion(answer(branched)).branch).toEqual({ from: 5, at: 2 });
    expect(messageText(answer(showVersion(branched, 3, 0)))).toBe('Paris is nice.');
  });

  test('a picked token that the filters had left out has no probability after them', () => {
    const from = shownVersion(answer(answered()));
    const start = branchStart(from, 1, { id: 7, text: 'é', rawLogprob: -9 });
    expect(start.steps[1]).not.toHaveProperty('logprob');
    expect(start.steps[1]!.endByte - start.steps[1]!.startByte).toBe(2);
  });

  test('going on starts after all tokens, but before the mark with which the model ended', () => {
    const version = shownVersion(answer(answered()));
    expect(continueStart(version).steps).toHaveLength(4);
    const end = { ...scriptStep('', 4), id: 2 };
    const numbers = { finish: 'end' as const } as never;
    expect(continueStart({ ...version, numbers, steps: [...version.steps, end] }).steps).toEqual(version.steps);
    expect(continueStart({ ...version, steps: [...version.steps, end] }).steps).toHaveLength(5);
  });

  test('a rewrite by hand keeps what the model wrote, and further rewrites replace it', () => {
    let draft = setText(answered(), 3, 'Paris it is.');
    draft = setText(draft, 3, 'Paris it was.');
    expect(answer(draft).versions.map((one) => [one.steps.length, one.prefix])).toEqual([
      [4, ''],
      [0, 'Paris it was.'],
    ]);
    expect(setText(draft, 3, 'Paris it was.')).toBe(draft);
    expect(messageText(answer(editByHand(answered(), 3)))).toBe('Paris is nice.');
  });

  test('what a stop string cut is not part of the text', () => {
    expect(trimmedLength('one\n\nUser', 'one')).toBe(6);
    expect(trimmedLength('one', 'something else')).toBe(0);
    const cut = endVersion(answered(), 3, 5, { status: 'done', trimmed: 6 });
    expect(messageText(answer(cut))).toBe('Paris is');
  });
});

describe('what the model is asked', () => {
  test('an answer reads only what stands above it', () => {
    const draft = addMessage({ ...answered(), system: 'Be short.' }, 'user', 'And then?');
    expect(requestFor(draft, 3, freshStart, true)).toEqual({
      input: {
        kind: 'chat',
        messages: [
          { role: 'system', content: 'Be short.' },
          { role: 'user', content: 'Hello' },
        ],
      },
      continuation: [],
    });
  });

  test('tokens are continued as ids, a text by hand as an open message', () => {
    const draft = answered();
    const going = requestFor(draft, 3, continueStart(shownVersion(answer(draft))), true);
    expect(going.continuation).toEqual([1000, 1001, 1002, 1003]);
    const written = setText(draft, 3, 'Lyon');
    const { input, continuation } = requestFor(written, 3, continueStart(shownVersion(answer(written))), true);
    expect(continuation).toEqual([]);
    expect(input).toMatchObject({ continueLast: true, messages: [{}, { role: 'assistant', content: 'Lyon' }] });
  });

  test('what is being written counts as the next message; without a template all is one text', () => {
    const draft = { ...answered(), composer: 'More' };
    expect(nextInput(draft, true)).toMatchObject({ messages: [{}, {}, { role: 'user', content: 'More' }] });
    expect(nextInput(draft, false)).toEqual({ kind: 'text', text: 'Hello\n\nParis is nice.\n\nMore' });
  });
});

describe('a draft', () => {
  test('survives being stored, with every detail of its tokens', () => {
    let draft = setBias(answered(), 42, ' sun', 5);
    draft = appendSteps(draft, 3, 5, [{ ...scriptStep('x', 5), rawLogprob: Number.NEGATIVE_INFINITY }]);
    const stored = v.safeParse(draftSchema, JSON.parse(JSON.stringify(draft)));
    expect(stored.output).toEqual(draft);
    expect(stored.success).toBe(true);
  });

  test('that was cut off in the middle of an answer says so and keeps the text', () => {
    const running = appendSteps(beginVersion(answered(), 3, freshStart), 3, 6, [scriptStep('So', 0)]);
    const version = shownVersion(answer(mendInterrupted(running)));
    expect(version).toMatchObject({ status: 'stopped', error: { code: 'cancelled' } });
    expect(version.steps).toHaveLength(1);
  });

  test('opened with messages has its system prompt and its last question where they belong', () => {
    const draft = openDraft('a', 0, {
      messages: [
        { role: 'system', content: 'S' },
        { role: 'user', content: 'A' },
        { role: 'assistant', content: 'B' },
        { role: 'user', content: 'C' },
      ],
    });
    expect([draft.system, texts(draft), draft.composer]).toEqual(['S', ['A', 'B'], 'C']);
    expect(isEmpty(draft)).toBe(false);
    expect(isEmpty(newDraft('b', 0))).toBe(true);
  });

  test('changes only where it was changed', () => {
    const draft = answered();
    const frozen = structuredClone(draft);
    deleteMessage(draft, 1);
    setRole(draft, 3, 'user');
    setSeed(draft, 7);
    setBias(draft, 1, 'a', 3);
    expect(draft).toEqual(frozen);
    expect(setSeed(setSeed(draft, 7), undefined).sampling).toEqual(draft.sampling);
    expect(setBias(setBias(draft, 1, 'a', 3), 1, 'a', undefined)).toEqual(draft);
    expect(messageText(setRole(setRole(draft, 3, 'user'), 3, 'assistant').messages[1]!)).toBe('Paris is nice.');
  });
});
