/** `<attention-tokens>`: a text, token by token, shaded like the editor. Sends `token-choose`. */
import { html, nothing } from 'lit';
import { formatWeight, levelOf } from '../../src/shared/attention/levels.ts';
import type { PanelToken } from '../../src/shared/attention-contract.ts';
import { TokenButtons } from './token-buttons.ts';

export class AttentionTokens extends TokenButtons {
  static override properties = { name: {} };

  /** What it is, for those who do not see it. */
  declare name: string;

  override render() {
    const reachable = Math.min(this.focused, this.tokens.length - 1);
    return html`<div
      class="token-text" role="group" aria-label=${this.name} dir="ltr" @click=${this.onClick} @keydown=${this.onKey}
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

  protected override afterKey(key: string): number | undefined {
    const last = this.tokens.length - 1;
    const moves: Record<string, number> = {
      ArrowLeft: this.focused - 1,
      ArrowUp: this.focused - 1,
      ArrowRight: this.focused + 1,
      ArrowDown: this.focused + 1,
      Home: 0,
      End: last,
    };
    const next = moves[key];
    return next === undefined ? undefined : Math.min(last, Math.max(0, next));
  }
}
