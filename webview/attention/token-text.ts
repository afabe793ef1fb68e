/** `<attention-tokens>`: a text, token by token, shaded like the editor. Sends `token-choose`. */
import { html, nothing } from 'lit';
import { formatWeight, levelOf } from '../../src/shared/attention/levels.ts';
import type { PanelToken } from '../../src/shared/attention-contract.ts';
import { PageElement, send } from '../ui/page-element.ts';

export class AttentionTokens extends PageElement {
  static override properties = {
    tokens: { attribute: false },
    name: {},
    weights: { attribute: false },
    marked: { type: Number },
    focused: { type: Number },
  };

  declare tokens: readonly PanelToken[];
  /** What it is, for those who do not see it. */
  declare name: string;
  /** One a token: absent where it has none. */
  declare weights: readonly (number | undefined)[];
  /** The token that was asked about. */
  declare marked: number | undefined;
  /** The one token that Tab reaches; arrow keys go on from there. */
  declare focused: number;

  constructor() {
    super();
    this.focused = 0;
  }

  override render() {
    const reachable = Math.min(this.focused, this.tokens.length - 1);
    return html`<div
      class="token-text" role="group" aria-label=${this.name} dir="ltr" @click=${this.#onClick} @keydown=${this.#onKey}
    >${this.tokens.map((token, index) => this.#token(token, index, this.weights[index], index === reachable))}</div>`;
  }

  #token(token: PanelToken, index: number, weight: number | undefined, isReachable: boolean) {
    const level = levelOf(weight ?? 0);
    const isMarked = this.marked === index;
    const said = weight === undefined ? '' : `, weight ${formatWeight(weight)}`;
    return html`<button
      type="button" class=${token.isSpecial ? 'token is-special' : 'token'} data-token=${index} data-level=${level}
      tabindex=${isReachable ? 0 : -1} aria-pressed=${isMarked} title=${`token ${index}${said}`}
      aria-label=${`token ${index} ${token.label}${said}`}
      style=${level > 0 ? `background-color: var(--vscode-glasshead-attentionLevel${level})` : nothing}
    ><bdi>${token.label}</bdi></button>${token.isLineEnd ? html`<br />` : nothing}`;
  }

  readonly #onClick = (event: Event): void => {
    const button = (event.target as Element).closest<HTMLElement>('.token');
    if (!button) return;
    this.focused = Number(button.dataset.token);
    send(this, 'token-choose', this.focused);
  };

  readonly #onKey = (event: KeyboardEvent): void => {
    const last = this.tokens.length - 1;
    const moves: Record<string, number> = {
      ArrowLeft: this.focused - 1,
      ArrowUp: this.focused - 1,
      ArrowRight: this.focused + 1,
      ArrowDown: this.focused + 1,
      Home: 0,
      End: last,
    };
    const next = moves[event.key];
    if (next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.focused = Math.min(last, Math.max(0, next));
    this.querySelector<HTMLElement>(`[data-token="${this.focused}"]`)?.focus();
  };
}
