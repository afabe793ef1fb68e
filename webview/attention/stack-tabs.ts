/** `<attention-tabs>`: the attentions of a model with several, as tabs. Sends `stack-choose`. */
import { html } from 'lit';
import { PageElement, send } from '../ui/page-element.ts';

export class AttentionTabs extends PageElement {
  static override properties = { names: { attribute: false }, chosen: { type: Number } };

  declare names: readonly string[];
  declare chosen: number;

  override render() {
    return html`<div class="tabs" role="tablist" aria-label="Attention of the model" @keydown=${this.#onKey}>
      ${this.names.map(
        (name, index) => html`<button
          type="button" role="tab" id=${tabId(index)} class="tab" aria-selected=${index === this.chosen} aria-controls="stack-panel"
          tabindex=${index === this.chosen ? 0 : -1} @click=${() => this.#choose(index)}
        >${name}</button>`,
      )}
    </div>`;
  }

  #choose(index: number): void {
    if (index !== this.chosen) send(this, 'stack-choose', index);
  }

  /** https://www.w3.org/WAI/ARIA/apg/patterns/tabs/, with automatic activation: maps come at once. */
  readonly #onKey = (event: KeyboardEvent): void => {
    const last = this.names.length - 1;
    const moves: Record<string, number> = {
      ArrowLeft: this.chosen === 0 ? last : this.chosen - 1,
      ArrowRight: this.chosen === last ? 0 : this.chosen + 1,
      Home: 0,
      End: last,
    };
    const next = moves[event.key];
    if (next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.querySelector<HTMLElement>(`#${tabId(next)}`)?.focus();
    this.#choose(next);
  };
}

export function tabId(index: number): string {
  return `stack-tab-${index}`;
}
