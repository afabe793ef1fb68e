/** One message: its role, its text or tokens, the versions it has, what can be done with it. */
import { html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { type Message, type Role, roleSchema, type Version } from '../../src/shared/playground-contract.ts';
import { type IconName, icon } from '../ui/icons.ts';
import { editByHand, messageText, setRole, setSeed, setText, shownVersion, showVersion } from './conversation.ts';
import { describeBranch, renderNumbers } from './numbers-view.ts';
import type { PlaygroundSession } from './session.ts';

const roleNames: Record<Role, string> = { system: 'System', user: 'You', assistant: 'Model' };

export function renderMessage(session: PlaygroundSession, message: Message): TemplateResult {
  const version = shownVersion(message);
  const isRunning = session.run?.messageId === message.id;
  const isTokens = message.role === 'assistant' && (version.steps.length > 0 || version.status === 'running');
  return html`
    <article class=${`message is-${message.role}`} data-message=${message.id} aria-label=${roleNames[message.role]}>
      <header class="message-head">
        ${renderRole(session, message)}
        ${message.versions.length > 1 ? renderVersions(session, message) : nothing}
        <span class="grow"></span>
        <div class="actions">${renderActions(session, message, version, isRunning)}</div>
      </header>
      ${isTokens ? renderTokens(version) : renderText(session, message)}
      ${renderEnd(session, message, version)}
    </article>
  `;
}

function renderRole(session: PlaygroundSession, { id, role }: Message) {
  const onChange = (event: Event) => {
    const chosen = (event.target as HTMLSelectElement).value as Role;
    session.edit((draft) => setRole(draft, id, chosen));
  };
  return html`<select class="role" aria-label="Role of this message" title="Change the role" @change=${onChange}>
    ${roleSchema.options.map((one) => html`<option value=${one} ?selected=${one === role}>${roleNames[one]}</option>`)}
  </select>`;
}

function renderVersions(session: PlaygroundSession, { id, versions, shown }: Message) {
  const go = (index: number) => session.edit((draft) => showVersion(draft, id, index));
  return html`<span class="versions small numbers" role="group" aria-label="Versions of this message">
    <button class="quiet" title="Earlier version" aria-label="Earlier version" ?disabled=${shown === 0}
      @click=${() => go(shown - 1)}>${icon('previous')}</button>
    <span>${shown + 1} of ${versions.length}</span>
    <button class="quiet" title="Later version" aria-label="Later version" ?disabled=${shown === versions.length - 1}
      @click=${() => go(shown + 1)}>${icon('next')}</button>
    <span class="muted">${describeBranch(versions, shown)}</span>
  </span>`;
}

function renderActions(session: PlaygroundSession, message: Message, version: Version, isRunning: boolean) {
  const { id, role } = message;
  const text = messageText(message);
  const act = (name: IconName, label: string, onClick: () => void, isOff = false) =>
    html`<button class="quiet" title=${label} aria-label=${label} ?disabled=${isOff} @click=${onClick}>${icon(name)}</button>`;
  const isBusy = session.run !== undefined;
  const ofAnswer = () => [
    act('reset', 'Write this answer again', () => session.answers.regenerate(id), isBusy),
    act('continue', 'Continue this answer', () => session.answers.continueAnswer(id), isBusy || text === ''),
    act(
      'edit',
      'Edit as text; this version is kept',
      () => edit(session, message),
      isRunning || version.steps.length === 0,
    ),
    act('eye', 'Inspect attention', () => void session.inspect(id), isRunning || text === ''),
    act('insert', 'Insert into the editor', () => void session.insert(text), text === ''),
  ];
  return html`
    ${role === 'assistant' ? ofAnswer() : act('play', 'Answer from here', () => session.answers.answer(id), isBusy || text.trim() === '')}
    ${act('copy', 'Copy', () => void session.copy(text), text === '')}
    ${act('trash', 'Delete this message', () => session.deleteMessage(id))}
  `;
}

function edit(session: PlaygroundSession, { id }: Message): void {
  session.edit((draft) => editByHand(draft, id));
  setTimeout(() => document.querySelector<HTMLTextAreaElement>(`[data-message="${id}"] textarea`)?.focus());
}

function renderTokens(version: Version) {
  return html`<token-view class="answer" data-status=${version.status} .version=${version}></token-view>`;
}

function renderText(session: PlaygroundSession, message: Message) {
  const onInput = (event: Event) => {
    const text = (event.target as HTMLTextAreaElement).value;
    session.edit((draft) => setText(draft, message.id, text));
  };
  return html`<textarea class="field message-text" rows="1" spellcheck="false"
    aria-label=${`Text of this message (${roleNames[message.role]})`}
    .value=${live(messageText(message))} @input=${onInput}></textarea>`;
}

/** How an answer ended, and what can be done about it. */
function renderEnd(session: PlaygroundSession, message: Message, version: Version) {
  if (message.role !== 'assistant' || version.status === 'running' || version.status === 'written') return nothing;
  const numbers = renderNumbers(version, session.contextLength, (seed) =>
    session.edit((draft) => setSeed(draft, seed)),
  );
  return html`${version.status === 'done' ? nothing : renderBroken(session, message, version)}${numbers}`;
}

function renderBroken(session: PlaygroundSession, { id }: Message, { status, error, steps }: Version) {
  if (status === 'stopped' && !error) {
    return steps.length > 0 ? nothing : html`<p class="muted small">Stopped before the first token.</p>`;
  }
  const isBusy = session.run !== undefined;
  const isTooLong = error?.code === 'context-overflow';
  const kept = steps.length > 0 ? ' The text so far is kept.' : '';
  return html`<div class=${`notice ${status === 'failed' ? 'is-error' : 'is-warning'}`} role="alert">
    ${icon('warning')}<span class="grow">${error?.message}${kept}</span>
    ${
      isTooLong
        ? html`<vscode-button ?disabled=${isBusy} @click=${() => session.answers.continueAnswer(id, 'cut-start')}>Cut at the start and run</vscode-button>`
        : html`<vscode-button ?disabled=${isBusy} @click=${() => session.answers.regenerate(id)}>Retry</vscode-button>`
    }
    ${
      steps.length > 0
        ? html`<vscode-button appearance="secondary" ?disabled=${isBusy} @click=${() => session.answers.continueAnswer(id)}>Continue</vscode-button>`
        : nothing
    }
  </div>`;
}
