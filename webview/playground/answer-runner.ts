/** Writes answers: from nothing, on from where one stopped, or from a token on. One at a time. */
import { isCancelled, toWireError } from '../../src/shared/app-error.ts';
import type { Alternative } from '../../src/shared/engine-contract.ts';
import type { Caller } from '../../src/shared/peer.ts';
import type { Draft, playgroundHostContract } from '../../src/shared/playground-contract.ts';
import {
  addMessage,
  appendSteps,
  beginVersion,
  branchStart,
  continueStart,
  endVersion,
  findMessage,
  freshStart,
  messageText,
  type Start,
  shownVersion,
  trimmedLength,
} from './conversation.ts';
import { requestFor } from './prompt-request.ts';
import { advance, numbersOf, numbersSoFar, type Run, startRun } from './run.ts';

type Overflow = 'refuse' | 'cut-start';

/** What the runner needs of the session that owns the draft. */
export interface RunOwner {
  readonly host: Caller<typeof playgroundHostContract>;
  readonly draft: Draft;
  readonly hasTemplate: boolean;
  readonly now: () => number;
  edit(change: (draft: Draft) => Draft): void;
  say(kind: 'info', text: string): void;
  closeNotice(): void;
  onChange(): void;
  onRunEnd(): void;
}

const busy = 'An answer is being written. Stop it first (Escape).';

export class AnswerRunner {
  readonly #owner: RunOwner;
  #settled: Promise<void> = Promise.resolve();
  run: Run | undefined;

  constructor(owner: RunOwner) {
    this.#owner = owner;
  }

  /** Sends what is written, or answers the last message. */
  send(overflow: Overflow = 'refuse'): void {
    if (this.run) return this.#owner.say('info', busy);
    const { composer, messages } = this.#owner.draft;
    const last = messages.at(-1);
    if (composer.trim() === '' && last?.role !== 'user') return this.#owner.say('info', 'Write a message first.');
    if (composer.trim() === '' && last && messageText(last).trim() === '') {
      return this.#owner.say('info', 'The last message is empty. Write something in it first.');
    }
    this.#owner.closeNotice();
    this.#owner.edit((draft) => {
      const asked = composer.trim() === '' ? draft : addMessage({ ...draft, composer: '' }, 'user', composer);
      return addMessage(asked, 'assistant', '');
    });
    this.#begin(this.#owner.draft.messages.at(-1)!.id, freshStart, overflow);
  }

  regenerate(messageId: number): void {
    this.#begin(messageId, freshStart);
  }

  /** Answers a message in the middle: writes the answer below it again, or adds one. */
  answer(messageId: number): void {
    const index = this.#owner.draft.messages.findIndex(({ id }) => id === messageId);
    const next = this.#owner.draft.messages[index + 1];
    if (next?.role === 'assistant') return this.regenerate(next.id);
    if (this.run) return this.#owner.say('info', busy);
    this.#owner.edit((draft) => addMessage(draft, 'assistant', '', messageId));
    this.#begin(this.#owner.draft.messages[index + 1]!.id, freshStart);
  }

  continueAnswer(messageId: number, overflow: Overflow = 'refuse'): void {
    const message = findMessage(this.#owner.draft, messageId);
    if (message) this.#begin(messageId, continueStart(shownVersion(message)), overflow);
  }

  /** Writes the answer again from token `at`, with another token there. What is running is stopped first. */
  async branch(messageId: number, at: number, alternative: Alternative): Promise<void> {
    const message = findMessage(this.#owner.draft, messageId);
    if (!message) return;
    const start = branchStart(shownVersion(message), at, alternative);
    await this.stop();
    this.#begin(messageId, start);
  }

  /** Resolves once nothing runs any more. */
  async stop(): Promise<void> {
    this.run?.controller.abort();
    await this.#settled;
  }

  requestOf(messageId: number): ReturnType<typeof requestFor> | undefined {
    const message = findMessage(this.#owner.draft, messageId);
    return (
      message && requestFor(this.#owner.draft, messageId, continueStart(shownVersion(message)), this.#owner.hasTemplate)
    );
  }

  #begin(messageId: number, start: Start, overflow: Overflow = 'refuse'): void {
    if (this.run) return this.#owner.say('info', busy);
    this.#owner.closeNotice();
    this.#owner.edit((draft) => beginVersion(draft, messageId, start));
    const message = findMessage(this.#owner.draft, messageId);
    if (!message) return;
    this.run = startRun(messageId, shownVersion(message).id, this.#owner.now());
    this.#settled = this.#generate(this.run, start, overflow);
  }

  async #generate({ messageId, versionId, controller }: Run, start: Start, overflow: Overflow): Promise<void> {
    const { input, continuation } = requestFor(this.#owner.draft, messageId, start, this.#owner.hasTemplate);
    const { sampling } = this.#owner.draft;
    const from = start.steps.length;
    this.#owner.onChange();
    try {
      const result = await this.#owner.host.call(
        'generate',
        { input, sampling, overflow, ...(continuation.length > 0 ? { continuation } : {}) },
        {
          signal: controller.signal,
          onProgress: (progress) => {
            if (this.run) this.run = advance(this.run, progress, this.#owner.now());
            if (progress.kind === 'tokens')
              this.#owner.edit((draft) => appendSteps(draft, messageId, versionId, progress.steps));
            else this.#owner.onChange();
          },
        },
      );
      const trimmed = result.finish === 'stop' ? this.#trimmed(messageId, versionId, from, result.text) : 0;
      const end = { status: 'done' as const, numbers: numbersOf(result), trimmed };
      this.#owner.edit((draft) => endVersion(draft, messageId, versionId, end));
    } catch (thrown) {
      const numbers = this.run ? numbersSoFar(this.run, this.#owner.now()) : undefined;
      const end = isCancelled(thrown)
        ? { status: 'stopped' as const, ...(numbers ? { numbers } : {}) }
        : { status: 'failed' as const, error: toWireError(thrown), ...(numbers ? { numbers } : {}) };
      this.#owner.edit((draft) => endVersion(draft, messageId, versionId, end));
    }
    this.run = undefined;
    this.#owner.onRunEnd();
  }

  #trimmed(messageId: number, versionId: number, from: number, text: string): number {
    const version = findMessage(this.#owner.draft, messageId)?.versions.find(({ id }) => id === versionId);
    const streamed = version?.steps.slice(from).map((step) => step.text);
    return trimmedLength(streamed?.join('') ?? '', text);
  }
}
