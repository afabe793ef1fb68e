/**
 * `<token-details>`: what is known of one token, and the tokens that could have stood there. Sends `token-branch` with
 * the alternative chosen, `details-close` when it is to go.
 */
import { html, nothing } from 'lit';
import type { Alternative } from '../../src/shared/engine-contract.ts';
import type { AnswerStep } from '../../src/shared/playground-contract.ts';
import { PageElement, send } from '../ui/page-element.ts';
import { formatCount, plural } from './numbers.ts';
import { filterName } from './sampling-controls.ts';
import { formatProbability } from './token-colour.ts';
import { visibleText } from './visible-text.ts';

export class TokenDetails extends PageElement {
  static override properties = { step: {}, index: {}, anchor: {}, canBranch: {} };

  declare step: AnswerStep | undefined;
  declare index: number;
  declare anchor: HTMLElement | undefined;
  declare canBranch: boolean;

  override render() {
    const { step } = this;
    if (!step) return nothing;
    const isListed = step.alternatives.some(({ id }) => id === step.id);
    const rows = isListed ? step.alternatives : [ownRow(step), ...step.alternatives];
    return html`
      <div class="details" role="dialog" aria-label=${`Token ${visibleText(step.text)}`} @keydown=${this.#onKey}>
        <div class="details-head">
          <code class="details-token">${visibleText(step.text)}</code>
          <span class="muted small numbers">token ${formatCount(this.index + 1)} · id ${step.id}</span>
        </div>
        <dl class="facts numbers">
          <dt>Probability</dt><dd>${percent(step.rawLogprob)}</dd>
          <dt>After filters</dt><dd>${step.isPicked ? 'picked by you' : percent(step.logprob)}</dd>
          <dt>Entropy</dt><dd>${step.entropy.toFixed(2)} nats</dd>
          <dt class="muted">Like choosing among</dt><dd class="muted">${formatChoices(step.entropy)}</dd>
        </dl>
        ${rows.length > 0 ? this.#renderRows(step, rows) : nothing}
        ${step.kept.length > 0 ? renderKept(step) : nothing}
      </div>
    `;
  }

  #renderRows(step: AnswerStep, rows: readonly Alternative[]) {
    const title = (one: Alternative) =>
      one.id === step.id ? 'Keep this token and write the rest again' : `Branch here with ${visibleText(one.text)}`;
    return html`
      <div class="alternatives" role="group" aria-label="Alternatives: choose one to branch from here">
        <div class="alternative-head muted small" aria-hidden="true">
          <span>Alternatives</span><span>before</span><span>after</span>
        </div>
        ${rows.map(
          (one) => html`<button
            class=${`alternative ${one.id === step.id ? 'is-chosen' : ''}`}
            title=${title(one)} ?disabled=${!this.canBranch}
            aria-label=${`${visibleText(one.text)}, ${percent(one.rawLogprob)} before, ${percent(one.logprob)} after filters${
              one.id === step.id ? ', chosen' : ''
            }`}
            @click=${() => send(this, 'token-branch', one)}
          >
            <span class="alternative-bar" style=${`width: ${Math.exp(one.rawLogprob) * 100}%`}></span>
            <code>${visibleText(one.text)}</code>
            <span class="numbers">${percent(one.rawLogprob)}</span>
            <span class="numbers muted">${one.logprob === undefined ? 'left out' : percent(one.logprob)}</span>
          </button>`,
        )}
      </div>
      <p class="muted small">Choose one to branch from here; this version is kept.</p>
    `;
  }

  protected override updated(): void {
    this.#place();
  }

  focusFirst(): void {
    this.querySelector<HTMLButtonElement>('.alternative')?.focus();
  }

  /** Under the token, or above it where there is more room; always inside the window. */
  #place(): void {
    const box = this.querySelector<HTMLElement>('.details');
    if (!box || !this.anchor?.isConnected) return;
    // A token over a line break has two boxes, one of them the space alone: the widest holds its word.
    const boxes = [...this.anchor.getClientRects()].sort((a, b) => b.width - a.width);
    const token = boxes[0] ?? this.anchor.getBoundingClientRect();
    const margin = 8;
    const below = innerHeight - token.bottom - margin;
    const above = token.top - margin;
    box.style.maxHeight = '';
    const isBelow = below >= box.offsetHeight + 4 || below >= above;
    box.style.maxHeight = `${Math.max(120, (isBelow ? below : above) - 4)}px`;
    const left = Math.min(Math.max(margin, token.left), innerWidth - box.offsetWidth - margin);
    box.style.left = `${Math.max(0, left)}px`;
    box.style.top = `${isBelow ? token.bottom + 4 : Math.max(margin, token.top - box.offsetHeight - 4)}px`;
  }

  #onKey(event: KeyboardEvent): void {
    const buttons = [...this.querySelectorAll<HTMLButtonElement>('.alternative')];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 };
    const target = to[event.key];
    if (event.key === 'Escape') send(this, 'details-close', undefined);
    else if (target !== undefined) buttons[Math.min(buttons.length - 1, Math.max(0, target))]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function ownRow({ id, text, rawLogprob, logprob }: AnswerStep): Alternative {
  return logprob === undefined ? { id, text, rawLogprob } : { id, text, rawLogprob, logprob };
}

function percent(logprob: number | undefined): string {
  return logprob === undefined ? 'left out' : formatProbability(Math.exp(logprob));
}

/** The perplexity of the distribution: e to its entropy. */
function formatChoices(entropy: number): string {
  const choices = Math.exp(entropy);
  return choices < 10 ? `${choices.toFixed(1)} equal tokens` : `${formatCount(Math.round(choices))} equal tokens`;
}

function renderKept({ kept }: AnswerStep) {
  return html`<p class="small numbers">
    <span class="muted">Left by each filter:</span>
    ${kept.map(({ filter, count }) => html`<span class="kept">${filterName(filter)} <b>${plural(count, 'token')}</b></span>`)}
  </p>`;
}
