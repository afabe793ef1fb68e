/** What the playground page does: the one owner of its state, and the only caller of the controller. */
import * as v from 'valibot';
import { isCancelled, toAppError } from '../../src/shared/app-error.ts';
import type { PromptInput } from '../../src/shared/engine-contract.ts';
import type { EngineState } from '../../src/shared/engine-state.ts';
import type { Caller, Result } from '../../src/shared/peer.ts';
import {
  type Draft,
  type DraftSummary,
  draftSchema,
  type Opening,
  type playgroundHostContract,
} from '../../src/shared/playground-contract.ts';
import { AnswerRunner, type RunOwner } from './answer-runner.ts';
import { deleteMessage, isEmpty, mendInterrupted, newDraft, openDraft, setBias } from './conversation.ts';
import { DraftKeeper } from './draft-keeper.ts';
import { PromptCounter, type PromptState } from './prompt-counter.ts';
import { nextInput } from './prompt-request.ts';
import type { Run } from './run.ts';

type Host = Caller<typeof playgroundHostContract>;

interface Notice {
  readonly kind: 'info' | 'warning' | 'error';
  readonly text: string;
  readonly undo?: Draft | undefined;
}

export interface SessionOptions {
  readonly host: Host;
  readonly saveState: (draft: Draft) => void;
  readonly onChange: () => void;
  readonly now?: () => number;
}

export class PlaygroundSession {
  readonly #host: Host;
  readonly #onChange: () => void;
  readonly #now: () => number;
  readonly #keeper: DraftKeeper;
  readonly #counter: PromptCounter;
  #draft: Draft;

  engine: EngineState = { kind: 'off' };
  readonly answers: AnswerRunner;
  recent: readonly DraftSummary[] = [];
  stats: Result<typeof playgroundHostContract, 'stats'> | undefined;
  notice: Notice | undefined;
  /** Set once what was kept is in view. */
  isStarted = false;

  constructor({ host, saveState, onChange, now = Date.now }: SessionOptions) {
    this.#host = host;
    this.#onChange = onChange;
    this.#now = now;
    this.#draft = newDraft(crypto.randomUUID(), now());
    this.#keeper = new DraftKeeper({
      keepWithPanel: saveState,
      keepWithController: (draft) => void this.#try(this.#host.call('saveDraft', { draft })),
      now,
    });
    this.answers = new AnswerRunner(this.#asOwner());
    this.#counter = new PromptCounter({
      encode: (input, signal) => this.#host.call('encode', { input }, { signal }),
      onChange,
    });
  }

  get run(): Run | undefined {
    return this.answers.run;
  }

  get draft(): Draft {
    return this.#draft;
  }

  get prompt(): PromptState {
    return this.#counter.state;
  }

  get contextLength(): number | undefined {
    return this.engine.kind === 'ready' ? this.engine.model.contextLength : undefined;
  }

  get hasTemplate(): boolean {
    return this.engine.kind !== 'ready' || this.engine.model.hasChatTemplate;
  }

  /** Shows what the panel kept over a reload, or a new conversation. */
  async start(kept: unknown): Promise<void> {
    const parsed = v.safeParse(draftSchema, kept);
    const { engine, recent, opening } = await this.#host.call('ready', undefined);
    this.recent = recent;
    if (opening) await this.open(opening);
    else if (parsed.success) {
      const stored = await this.#host.call('loadDraft', { id: parsed.output.id });
      const newer = stored && stored.savedAt > parsed.output.savedAt ? stored : parsed.output;
      this.#draft = mendInterrupted(newer);
    }
    this.isStarted = true;
    this.setEngine(engine);
    if (engine.kind === 'off') this.startEngine();
  }

  setEngine(state: EngineState): void {
    this.engine = state;
    if (state.kind === 'ready') {
      this.#count();
      void this.#readStats();
    } else this.#counter.forget();
    this.#onChange();
  }

  /** Every change of what is shown or written goes through here. */
  edit(change: (draft: Draft) => Draft): void {
    const changed = change(this.#draft);
    if (changed === this.#draft) return;
    this.#draft = changed;
    this.#keeper.changed(changed);
    this.#count();
    this.#onChange();
  }

  /** Kept with the draft, shown by nobody: needs no rendering. */
  rememberScroll(scrollTop: number): void {
    this.#draft = { ...this.#draft, view: { ...this.#draft.view, scrollTop } };
    this.#keeper.changed(this.#draft);
  }

  say(kind: Notice['kind'], text: string, undo?: Draft): void {
    this.notice = { kind, text, undo };
    this.#onChange();
  }

  closeNotice(): void {
    this.notice = undefined;
    this.#onChange();
  }

  flush(): void {
    this.#keeper.flush();
  }

  startEngine(): void {
    void this.#host.call('startEngine', undefined).catch(() => {}); // the state says what went wrong
  }

  showLog(): void {
    void this.#try(this.#host.call('showLog', undefined));
  }

  // --- Conversations -------------------------------------------------------------------------------------------------

  async open(opening: Opening): Promise<void> {
    await this.#leave();
    this.edit(() => openDraft(crypto.randomUUID(), this.#now(), opening));
  }

  async startNew(): Promise<void> {
    const old = this.#draft;
    await this.#leave();
    this.edit(() => ({ ...newDraft(crypto.randomUUID(), this.#now(), old), system: '' }));
    this.recent = (await this.#try(this.#host.call('listDrafts', undefined))) ?? this.recent;
    this.#onChange();
  }

  async openRecent(id: string): Promise<void> {
    await this.#leave();
    const draft = await this.#try(this.#host.call('loadDraft', { id }));
    if (!draft) return this.say('warning', 'This conversation is not stored any more.');
    this.edit(() => mendInterrupted(draft));
  }

  async deleteRecent(id: string): Promise<void> {
    this.recent = (await this.#try(this.#host.call('deleteDraft', { id }))) ?? this.recent;
    this.#onChange();
  }

  async #leave(): Promise<void> {
    this.notice = undefined;
    await this.answers.stop();
    this.#keeper.flush();
  }

  deleteMessage(messageId: number): void {
    const before = this.#draft;
    if (this.run?.messageId === messageId) void this.answers.stop();
    this.edit((draft) => deleteMessage(draft, messageId));
    this.say('info', 'Message deleted.', before);
  }

  undo(): void {
    const undo = this.notice?.undo;
    this.notice = undefined;
    if (undo)
      this.edit((draft) => ({ ...draft, messages: undo.messages, nextId: Math.max(draft.nextId, undo.nextId) }));
  }

  // --- Buttons -------------------------------------------------------------------------------------------------------

  async copy(text: string): Promise<void> {
    if (await this.#did(this.#host.call('copyText', { text }))) this.say('info', 'Copied.');
  }

  async insert(text: string): Promise<void> {
    const where = await this.#try(this.#host.call('insertText', { text }));
    if (where !== undefined) this.say('info', where);
  }

  async inspect(messageId: number): Promise<void> {
    const request = this.answers.requestOf(messageId);
    if (request) await this.#try(this.#host.call('inspect', request));
  }

  /** Biases every token that a text is made of. */
  async addBias(text: string, bias: number): Promise<void> {
    const input: PromptInput = { kind: 'text', text };
    const encoded = await this.#try(this.#host.call('encode', { input }));
    const tokens = encoded?.tokens.filter(({ isSpecial }) => !isSpecial) ?? [];
    this.edit((draft) => tokens.reduce((so, token) => setBias(so, token.id, token.text, bias), draft));
    if (tokens.length > 1)
      this.say('info', `“${text}” is ${tokens.length} tokens; the bias was given to each of them.`);
  }

  // --- Inside --------------------------------------------------------------------------------------------------------

  #asOwner(): RunOwner {
    const session = this;
    return {
      host: this.#host,
      now: this.#now,
      get draft() {
        return session.#draft;
      },
      get hasTemplate() {
        return session.hasTemplate;
      },
      edit: (change) => this.edit(change),
      say: (kind, text) => this.say(kind, text),
      closeNotice: () => this.closeNotice(),
      onChange: this.#onChange,
      onRunEnd: () => {
        this.#keeper.flush();
        void this.#readStats();
        this.#count();
        this.#onChange();
      },
    };
  }

  #count(): void {
    if (this.engine.kind !== 'ready' || this.run) return;
    if (isEmpty(this.#draft)) return this.#counter.forget();
    this.#counter.want(nextInput(this.#draft, this.hasTemplate));
  }

  async #readStats(): Promise<void> {
    if (this.engine.kind !== 'ready') return;
    this.stats = await this.#host.call('stats', undefined).catch(() => undefined);
    this.#onChange();
  }

  async #did(call: Promise<unknown>): Promise<boolean> {
    return (await this.#try(call.then(() => true))) ?? false;
  }

  /** The result, or a notice that says why there is none. */
  async #try<T>(call: Promise<T>): Promise<T | undefined> {
    try {
      return await call;
    } catch (thrown) {
      if (!isCancelled(thrown)) this.say('error', toAppError(thrown).message);
      return undefined;
    }
  }
}
