/** `<attention-patch-grid>`: the picture as the model sees it, its patches shaded by their weights. Sends `token-choose`. */
import { html, nothing, type PropertyValues } from 'lit';
import { formatWeight, levelOf } from '../../src/shared/attention/levels.ts';
import type { PanelToken } from '../../src/shared/attention-contract.ts';
import type { PictureLayout } from '../../src/shared/engine-contract.ts';
import { tokenAfterKey } from './patch-geometry.ts';
import { TokenButtons } from './token-buttons.ts';

export class AttentionPatchGrid extends TokenButtons {
  static override properties = {
    picture: { attribute: false },
    pixels: { attribute: false },
  };

  declare picture: PictureLayout;
  /** [row, column, RGBA]; absent until they come. */
  declare pixels: Uint8Array | undefined;

  override render() {
    const { picture, tokens } = this;
    const { rows, columns, firstPatch, width, height } = picture;
    const before = tokens.slice(0, firstPatch);
    const patches = tokens.slice(firstPatch, firstPatch + rows * columns);
    return html`<div class="patch-grid" role="group" aria-label="Patches of the picture" @click=${this.onClick} @keydown=${this.onKey}>
      ${before.length === 0 ? nothing : html`<div class="before">${before.map((token, index) => this.#token(token, index, 'token is-special'))}</div>`}
      <div class=${this.weights.length > 0 ? 'picture is-shaded' : 'picture'} style=${`aspect-ratio: ${width} / ${height}`}>
        <canvas width=${width} height=${height} aria-hidden="true"></canvas>
        <div class="patches" style=${`grid-template: repeat(${rows}, 1fr) / repeat(${columns}, 1fr)`}>
          ${patches.map((token, index) => this.#token(token, firstPatch + index, 'patch'))}
        </div>
      </div>
    </div>`;
  }

  override updated(changed: PropertyValues): void {
    if (!changed.has('pixels') || !this.pixels) return;
    const { width, height } = this.picture;
    const canvas = this.querySelector('canvas');
    canvas?.getContext('2d')?.putImageData(new ImageData(new Uint8ClampedArray(this.pixels), width, height), 0, 0);
  }

  #token(token: PanelToken, index: number, kind: string) {
    const weight = this.weights[index];
    const level = levelOf(weight ?? 0);
    const said = weight === undefined ? '' : `, weight ${formatWeight(weight)}`;
    const name = index < this.picture.firstPatch ? token.label : `patch ${token.label}`;
    return html`<button
      type="button" class=${kind} data-token=${index} data-level=${level} tabindex=${index === this.focused ? 0 : -1}
      aria-pressed=${this.marked === index} title=${name + said} aria-label=${name + said}
      style=${level > 0 ? `--level: var(--vscode-glasshead-attentionLevel${level})` : nothing}
    >${kind === 'patch' ? nothing : html`<bdi>${token.label}</bdi>`}</button>`;
  }

  protected override afterKey(key: string): number | undefined {
    return tokenAfterKey(this.focused, this.picture, key);
  }
}
