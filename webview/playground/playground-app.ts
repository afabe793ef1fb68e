/** `<playground-app>`: the page's one root. Lays out conversation, composer and settings; owns keys, scroll and hover. */
import { html, nothing } from 'lit';
import { guard } from 'lit/directives/guard.js';
import { live } from 'lit/directives/live.js';
import type { Alternative } from '../../src/shared/engine-contract.ts';
import type { Message } from '../../src/shared/playground-contract.ts';
import { icon } from '../ui/icons.ts';
import { PageElement } from '../ui/page-element.ts';
import { addMessage, findMessage, shownVersion } from './conversation.ts';
import { renderMessage } from './message-view.ts';
import { renderPromptCount, renderPromptNotices, renderPromptPanel } from './prompt-view.ts';
import { renderSamplingPanel } from './sampling-panel.ts';
import type { PlaygroundSession } from './session.ts';
import { renderStart } from './start-view.ts';
import { renderEngineNotice, renderLegend, renderModelLine, renderRun } from './status-view.ts';
import { tintVariables } from './token-colour.ts';
import type { TokenDetails } from './token-details.ts';
import type { TokenPoint, TokenView } from './token-view.ts';

interface Pointed extends TokenPoint {
  readonly messageId: number;
  readonly isPinned: boolean;
}

const wide = '(min-width: 760px)';

export class PlaygroundApp extends PageElement {
  static override properties = { session: {} };

  declare session: PlaygroundSession;
  #pointed: Pointed | undefined;
  #pointTimer: ReturnType<typeof setTimeout> | undefined;
  #isSheetOpen = false;
  #isAtEnd = true;
  #isScrollRestored = false;
  readonly #wide = matchMedia(wide);
  readonly #stop = new AbortController();

  override connectedCallback(): void {
    super.connectedCallback();
    const { signal } = this.#stop;
    this.#wide.addEventListener('change', () => this.requestUpdate(), { signal });
    window.addEventListener('keydown', (event) => this.#onKey(event), { signal });
    window.addEventListener('pointerdown', (event) => this.#onPointerDown(event), { signal });
    window.addEventListener('resize', () => this.#closeDetails(), { signal });
    for (const name of ['pagehide', 'blur']) window.addEventListener(name, () => this.session.flush(), { signal });
    document.addEventListener('visibilitychange', () => this.session.flush(), { signal });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stop.abort();
  }

  override render() {
    const { session } = this;
    const { messages, view } = session.draft;
    const isSettings = this.#wide.matches ? view.isSettingsOpen : this.#isSheetOpen;
    const hasTokens = messages.some((message) => shownVersion(message).steps.length > 0);
    return html`
      <div class="page" style=${tintVariables()} data-colour=${view.colour} data-settings=${isSettings ? 'open' : 'closed'}>
        <header class="top">
          <div class="grow">${renderModelLine(session)}</div>
          <button class="quiet" title="New conversation; this one is kept" @click=${() => void session.startNew()}>${icon('add')}<span>New</span></button>
          <button class="quiet" aria-expanded=${isSettings} aria-controls="settings" title="Show or hide the settings"
            @click=${() => this.#toggleSettings()}>${icon('settings')}<span>Settings</span></button>
        </header>
        <main class="scroller" @scroll=${this.#onScroll}>
          <div class="column"
            @token-point=${(event: CustomEvent<TokenPoint>) => this.#onPoint(event)}
            @token-open=${(event: CustomEvent<TokenPoint>) => this.#onOpen(event)}
            @token-leave=${() => this.#leaveSoon()}>
            ${renderSystem(session)}
            ${messages.length === 0 ? renderStart(session) : nothing}
            ${hasTokens ? renderLegend(session) : nothing}
            ${messages.map((message) => this.#renderMessage(message))}
            ${messages.length > 0 ? this.#renderAdd() : nothing}
          </div>
        </main>
        <footer class="bottom"><div class="column">
          ${renderEngineNotice(session)} ${renderNotice(session)} ${renderPromptNotices(session)}
          ${renderPromptPanel(session)} ${renderRun(session)} ${this.#renderComposer()}
        </div></footer>
        <aside id="settings" class="settings" aria-label="Settings" ?hidden=${!isSettings}>${this.#renderSettings()}</aside>
      </div>
      ${this.#renderDetails()}
    `;
  }

  // A token changes one message of many: the rest is not rendered again.

  #renderMessage(message: Message) {
    const { session } = this;
    const isBusy = session.run !== undefined;
    return guard([message, isBusy, session.contextLength], () => renderMessage(session, message));
  }

  #renderSettings() {
    const { session } = this;
    const { draft, prompt, engine, run } = session;
    const inputs = [draft.sampling, draft.biasLabels, prompt.encoded, engine, run === undefined, draft.messages.length];
    return guard(inputs, () => renderSamplingPanel(session));
  }

  #renderComposer() {
    const { session } = this;
    const onInput = (event: Event) => {
      const composer = (event.target as HTMLTextAreaElement).value;
      session.edit((draft) => ({ ...draft, composer }));
    };
    return html`<div class="composer">
      <textarea class="field" id="composer" rows="2" aria-label="Message" spellcheck="false"
        placeholder="Write a message. Ctrl+Enter runs it." .value=${live(session.draft.composer)} @input=${onInput}></textarea>
      <div class="row composer-row">
        <div class="grow">${renderPromptCount(session)}</div>
        ${
          session.run
            ? html`<vscode-button appearance="secondary" title="Escape" @click=${() => void session.answers.stop()}>Stop</vscode-button>`
            : html`<vscode-button title="Ctrl+Enter" @click=${() => session.answers.send()}>Run</vscode-button>`
        }
      </div>
    </div>`;
  }

  #renderAdd() {
    const { session } = this;
    const add = (role: 'user' | 'assistant') => session.edit((draft) => addMessage(draft, role, ''));
    return html`<div class="row small add-row">
      <button class="quiet" @click=${() => add('user')}>${icon('add')}Message of yours</button>
      <button class="quiet" title="Write the model’s words yourself, to be continued" @click=${() => add('assistant')}>${icon('add')}Message of the model</button>
    </div>`;
  }

  #renderDetails() {
    const pointed = this.#pointed;
    const message = pointed && findMessage(this.session.draft, pointed.messageId);
    const step = message && shownVersion(message).steps[pointed.index];
    return html`<token-details
      .step=${step} .index=${pointed?.index ?? 0} .anchor=${pointed?.token} .canBranch=${true}
      @pointerenter=${() => clearTimeout(this.#pointTimer)} @pointerleave=${() => this.#leaveSoon()}
      @details-close=${() => this.#closeDetails(true)}
      @token-branch=${(event: CustomEvent<Alternative>) => this.#onBranch(event.detail)}
    ></token-details>`;
  }

  // --- Token details -------------------------------------------------------------------------------------------------

  #onPoint(event: CustomEvent<TokenPoint>): void {
    if (this.#pointed?.isPinned) return;
    const point = this.#toPointed(event, false);
    clearTimeout(this.#pointTimer);
    this.#pointTimer = setTimeout(() => this.#show(point), this.#pointed ? 60 : 180);
  }

  #onOpen(event: CustomEvent<TokenPoint>): void {
    clearTimeout(this.#pointTimer);
    this.#show(this.#toPointed(event, true));
    void this.updateComplete.then(async () => {
      const details = this.querySelector<TokenDetails>('token-details');
      await details?.updateComplete;
      details?.focusFirst();
    });
  }

  #toPointed(event: CustomEvent<TokenPoint>, isPinned: boolean): Pointed {
    const message = (event.target as Element).closest<HTMLElement>('[data-message]');
    return { ...event.detail, messageId: Number(message?.dataset.message), isPinned };
  }

  #show(pointed: Pointed | undefined): void {
    this.#pointed?.token.classList.remove('is-pointed');
    this.#pointed = pointed;
    pointed?.token.classList.add('is-pointed');
    this.requestUpdate();
  }

  #leaveSoon(): void {
    clearTimeout(this.#pointTimer);
    if (!this.#pointed?.isPinned) this.#pointTimer = setTimeout(() => this.#show(undefined), 250);
  }

  #closeDetails(isFocusBack = false): void {
    clearTimeout(this.#pointTimer);
    const pointed = this.#pointed;
    if (!pointed) return;
    this.#show(undefined);
    if (!isFocusBack) return;
    pointed.token.closest<TokenView>('token-view')?.focusToken(pointed.index);
    clearTimeout(this.#pointTimer); // the focus alone would open it again
  }

  #onBranch(alternative: Alternative): void {
    const pointed = this.#pointed;
    if (!pointed) return;
    this.#closeDetails();
    void this.session.answers.branch(pointed.messageId, pointed.index, alternative);
  }

  // --- Keys, pointer, scroll -----------------------------------------------------------------------------------------

  #onKey(event: KeyboardEvent): void {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.session.answers.send();
    } else if (event.key === 'Escape') {
      if (this.#pointed) this.#closeDetails(true);
      else if (this.#isSheetOpen && !this.#wide.matches) this.#toggleSettings();
      else void this.session.answers.stop();
    }
  }

  #onPointerDown(event: PointerEvent): void {
    if (event.target instanceof Element && !event.target.closest('token-details, .token')) this.#closeDetails();
  }

  #toggleSettings(): void {
    if (!this.#wide.matches) {
      this.#isSheetOpen = !this.#isSheetOpen;
      return this.requestUpdate();
    }
    this.session.edit((draft) => ({ ...draft, view: { ...draft.view, isSettingsOpen: !draft.view.isSettingsOpen } }));
  }

  #onScroll(event: Event): void {
    const { scrollTop, scrollHeight, clientHeight } = event.target as HTMLElement;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < 40;
    this.#closeDetails();
    this.session.rememberScroll(scrollTop);
  }

  protected override updated(): void {
    const scroller = this.querySelector('.scroller');
    if (!scroller) return;
    if (!this.#isScrollRestored && this.session.isStarted) {
      this.#isScrollRestored = true;
      scroller.scrollTop = this.session.draft.view.scrollTop;
    } else if (this.session.run && this.#isAtEnd) scroller.scrollTop = scroller.scrollHeight;
  }
}

function renderSystem(session: PlaygroundSession) {
  const onInput = (event: Event) => {
    const system = (event.target as HTMLTextAreaElement).value;
    session.edit((draft) => ({ ...draft, system }));
  };
  return html`<label class="system"><span class="small muted">System prompt</span>
    <textarea class="field" rows="1" spellcheck="false" placeholder="How the model should behave (optional)"
      .value=${live(session.draft.system)} @input=${onInput}></textarea></label>`;
}

function renderNotice(session: PlaygroundSession) {
  const { notice } = session;
  if (!notice) return nothing;
  return html`<div class=${`notice is-${notice.kind}`} role=${notice.kind === 'error' ? 'alert' : 'status'}>
    <span class="grow">${notice.text}</span>
    ${notice.undo ? html`<vscode-button appearance="secondary" @click=${() => session.undo()}>Undo</vscode-button>` : nothing}
    <button class="quiet" title="Close" aria-label="Close this notice" @click=${() => session.closeNotice()}>${icon('close')}</button>
  </div>`;
}
