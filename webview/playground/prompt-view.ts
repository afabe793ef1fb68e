/** The prompt before it is run: how much of the context it takes, and on demand its exact text or tokens. */
import { html, nothing } from 'lit';
import type { Token } from '../../src/shared/engine-contract.ts';
import type { View } from '../../src/shared/playground-contract.ts';
import { icon } from '../ui/icons.ts';
import { formatCount, plural } from './numbers.ts';
import { describeNeutralised } from './numbers-view.ts';
import type { PlaygroundSession } from './session.ts';
import { visibleText } from './visible-text.ts';

/** More tokens than this are shown by their beginning and end: a page of 12,000 boxes helps nobody. */
const shownTokens = 1500;
const shownTail = 300;

/** The line that is always there: tokens of the context, and the way to see them. */
export function renderPromptCount(session: PlaygroundSession) {
  const { prompt, contextLength, draft } = session;
  const used = prompt.encoded?.tokens.length;
  const { isPromptOpen } = draft.view;
  const text =
    used === undefined || contextLength === undefined
      ? prompt.isCounting
        ? 'Counting tokens…'
        : 'Prompt'
      : `${formatCount(used)} of ${formatCount(contextLength)} tokens`;
  return html`<button
    class="quiet prompt-toggle numbers small" aria-expanded=${isPromptOpen} aria-controls="prompt-panel"
    title="Show the prompt exactly as the model reads it"
    @click=${() => setView(session, { isPromptOpen: !isPromptOpen })}
  >${icon(isPromptOpen ? 'collapse' : 'expand')}<span>${text}</span>
    ${
      used !== undefined && contextLength
        ? html`<span class="meter" aria-hidden="true"><span style=${`width: ${Math.min(100, (used / contextLength) * 100)}%`}></span></span>`
        : nothing
    }
  </button>`;
}

/** What there is to know before running: too long, special tokens typed, a count that failed. */
export function renderPromptNotices(session: PlaygroundSession) {
  const { prompt, contextLength, draft } = session;
  const used = prompt.encoded?.tokens.length ?? 0;
  const excess = contextLength === undefined ? 0 : used - (contextLength - 1); // the answer needs one
  const canCut = draft.composer.trim() !== '' && !session.run;
  const neutralised = prompt.encoded?.neutralised ?? [];
  return html`
    ${
      excess > 0 && contextLength !== undefined
        ? html`<div class="notice is-warning" role="status">${icon('warning')}
            <span class="grow">${`The prompt is ${plural(excess, 'token')} too long: it has ${formatCount(used)}, and the model reads at most ${formatCount(contextLength - 1)} before its answer.`}</span>
            ${canCut ? html`<vscode-button appearance="secondary" @click=${() => session.answers.send('cut-start')}>Cut at the start and run</vscode-button>` : nothing}
          </div>`
        : nothing
    }
    ${neutralised.length > 0 ? html`<p class="muted small" role="status">${describeNeutralised(neutralised)}</p>` : nothing}
    ${prompt.error ? html`<p class="muted small" role="status">${prompt.error}</p>` : nothing}
  `;
}

export function renderPromptPanel(session: PlaygroundSession) {
  const { view } = session.draft;
  if (!view.isPromptOpen) return nothing;
  const { encoded } = session.prompt;
  const choice = (promptAs: View['promptAs'], label: string) =>
    html`<button class="quiet" aria-pressed=${view.promptAs === promptAs} @click=${() => setView(session, { promptAs })}>${label}</button>`;
  return html`<section id="prompt-panel" class="prompt-panel" aria-label="The prompt as the model reads it">
    <div class="row small">
      <span class="grow muted">As the model reads it, chat template included</span>
      <span role="group" aria-label="Show as">${choice('text', 'Text')}${choice('tokens', 'Tokens')}</span>
    </div>
    <div class="prompt-body" tabindex="0" role="region" aria-label="Prompt text">
      ${
        encoded
          ? view.promptAs === 'text'
            ? renderText(encoded.tokens, encoded.text)
            : renderTokens(encoded.tokens)
          : html`<span class="muted">${emptyReason(session)}</span>`
      }
    </div>
  </section>`;
}

function emptyReason({ engine, prompt }: PlaygroundSession): string {
  if (engine.kind !== 'ready') return 'The prompt is shown once the model is loaded.';
  return prompt.isCounting ? 'Counting tokens…' : 'Nothing is written yet.';
}

/** The text, with the special tokens standing out; they are few even when the text is long. */
function renderText(tokens: readonly Token[], text: string) {
  const parts: unknown[] = [];
  let at = 0;
  for (const { isSpecial, start, end } of tokens) {
    if (!isSpecial || start < at) continue;
    parts.push(text.slice(at, start), html`<mark class="special">${text.slice(start, end)}</mark>`);
    at = end;
  }
  return html`<div class="prompt-text">${parts}${text.slice(at)}</div>`;
}

function renderTokens(tokens: readonly Token[]) {
  const box = ({ id, text, isSpecial }: Token, index: number) =>
    html`<span class=${`prompt-token ${isSpecial ? 'special' : ''}`} title=${`Token ${index + 1}, id ${id}`}>${visibleText(text)}</span>`;
  if (tokens.length <= shownTokens) return html`<div class="prompt-tokens">${tokens.map(box)}</div>`;
  const tailAt = tokens.length - shownTail;
  const headEnd = shownTokens - shownTail;
  return html`<div class="prompt-tokens">
    ${tokens.slice(0, headEnd).map(box)}
    <span class="muted">… ${plural(tailAt - headEnd, 'more token')} …</span>
    ${tokens.slice(tailAt).map((token, index) => box(token, tailAt + index))}
  </div>`;
}

function setView(session: PlaygroundSession, patch: Partial<View>): void {
  session.edit((draft) => ({ ...draft, view: { ...draft.view, ...patch } }));
}
