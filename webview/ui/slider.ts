/**
 * `<glass-slider>`: a slider with a number beside it, a way back to the default, one sentence that explains it and,
 * where something else decides, what is in effect. Sends `glass-change` with the new number.
 */
import { css, html, LitElement, nothing } from 'lit';
import { icon } from './icons.ts';
import { send } from './page-element.ts';
import { accept, fromFraction, type SliderScale, toFraction, valueAfterKey } from './slider-scale.ts';

export class GlassSlider extends LitElement {
  static override properties = {
    label: {},
    description: {},
    note: {},
    value: { type: Number },
    defaultValue: { type: Number, attribute: 'default' },
    min: { type: Number },
    max: { type: Number },
    trackMax: { type: Number, attribute: 'track-max' },
    step: { type: Number },
    isIdle: { type: Boolean, attribute: 'idle', reflect: true },
  };
  static override styles = css`
    :host { display: block; }
    .head { display: flex; align-items: center; gap: 4px; min-height: 26px; }
    label { flex: 1; font-weight: 600; overflow-wrap: anywhere; }
    :host([idle]) label, :host([idle]) .track { opacity: 0.6; }
    input {
      box-sizing: border-box; width: 76px; padding: 3px 4px 3px 6px; font: inherit;
      font-variant-numeric: tabular-nums;
      color: var(--vscode-input-foreground); background: var(--vscode-input-background);
      border: 1px solid var(--vscode-input-border, var(--vscode-contrastBorder, transparent)); border-radius: 2px;
    }
    button {
      display: inline-flex; padding: 3px; border: 1px solid transparent; border-radius: 4px;
      color: var(--vscode-icon-foreground, inherit); background: none; cursor: pointer;
    }
    button:hover { background: var(--vscode-toolbar-hoverBackground); outline: 1px dashed var(--vscode-contrastActiveBorder, transparent); outline-offset: -1px; }
    button[disabled] { visibility: hidden; }
    :focus-visible { outline: 1px solid var(--vscode-focusBorder); outline-offset: 1px; }
    .track { position: relative; height: 18px; margin: 0 6px; cursor: pointer; touch-action: none; border-radius: 2px; }
    .rail, .fill { position: absolute; top: 8px; left: -6px; height: 2px; border-radius: 1px; }
    .rail { right: -6px; background: var(--vscode-scrollbarSlider-hoverBackground, var(--vscode-foreground)); }
    .fill { background: var(--vscode-button-background); }
    .mark { position: absolute; top: 5px; width: 1px; height: 8px; background: var(--vscode-descriptionForeground); }
    .thumb {
      position: absolute; top: 3px; width: 12px; height: 12px; margin-left: -6px; border-radius: 50%;
      box-sizing: border-box; background: var(--vscode-button-background);
      border: 1px solid var(--vscode-contrastBorder, var(--vscode-button-border, transparent));
    }
    :host-context(.vscode-high-contrast) .rail { background: var(--vscode-contrastBorder); }
    :host-context(.vscode-high-contrast) .fill, :host-context(.vscode-high-contrast) .thumb { background: var(--vscode-focusBorder); }
    p { margin: 0 0 2px; font-size: 0.92em; line-height: 1.35; color: var(--vscode-descriptionForeground); }
    .note { color: var(--vscode-foreground); }
    @media (forced-colors: active) { .fill, .thumb { background: Highlight; } .rail { background: CanvasText; } }
  `;

  declare label: string;
  declare description: string;
  /** What is really in effect, when it is not simply this value. */
  declare note: string;
  declare value: number;
  declare defaultValue: number;
  declare min: number;
  declare max: number;
  declare trackMax: number | undefined;
  declare step: number;
  /** Set while this value has no effect. */
  declare isIdle: boolean;

  constructor() {
    super();
    Object.assign(this, {
      label: '',
      description: '',
      note: '',
      value: 0,
      defaultValue: 0,
      min: 0,
      max: 1,
      step: 0.01,
    });
    this.isIdle = false;
  }

  get #scale(): SliderScale {
    return { min: this.min, max: this.max, step: this.step, trackMax: this.trackMax ?? this.max };
  }

  override render() {
    const scale = this.#scale;
    const at = `${toFraction(scale, this.value) * 100}%`;
    return html`
      <div class="head">
        <label for="number" id="label">${this.label}</label>
        <button
          title=${`Reset to ${this.defaultValue}`}
          aria-label=${`Reset ${this.label} to ${this.defaultValue}`}
          ?disabled=${this.value === this.defaultValue}
          @click=${() => this.#set(this.defaultValue)}
        >${icon('reset')}</button>
        <input
          id="number" type="number" min=${scale.min} max=${scale.max} step=${scale.step}
          .value=${String(this.value)} aria-describedby="description note" @change=${this.#onTyped}
        />
      </div>
      <div
        class="track" role="slider" tabindex="0" aria-labelledby="label" aria-describedby="description note"
        aria-valuemin=${scale.min} aria-valuemax=${Math.max(scale.trackMax, this.value)} aria-valuenow=${this.value}
        @keydown=${this.#onKey} @pointerdown=${this.#onPointer} @pointermove=${this.#onPointer}
      >
        <div class="rail"></div>
        <div class="fill" style=${`width: calc(${at} + 6px)`}></div>
        <div class="mark" style=${`left: ${toFraction(scale, this.defaultValue) * 100}%`}></div>
        <div class="thumb" style=${`left: ${at}`}></div>
      </div>
      <p id="description">${this.description}</p>
      <p id="note" class="note">${this.note || nothing}</p>
    `;
  }

  #set(value: number): void {
    if (value === this.value) return;
    this.value = value;
    send(this, 'glass-change', value);
  }

  #onTyped(event: Event): void {
    const input = event.target as HTMLInputElement;
    if (Number.isFinite(input.valueAsNumber)) this.#set(accept(this.#scale, input.valueAsNumber));
    input.value = String(this.value); // what could not be used is put back
  }

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const value = valueAfterKey(this.#scale, this.value, event.key);
    if (value === undefined) return;
    event.preventDefault();
    this.#set(value);
  }

  #onPointer(event: PointerEvent): void {
    const track = event.currentTarget as HTMLElement;
    if (event.type === 'pointerdown') track.setPointerCapture(event.pointerId);
    else if (!track.hasPointerCapture(event.pointerId)) return;
    const box = track.getBoundingClientRect();
    this.#set(fromFraction(this.#scale, (event.clientX - box.left) / box.width));
  }
}
