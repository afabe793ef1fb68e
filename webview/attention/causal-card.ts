/**
 * `<attention-causal-card>`: a button that tests what the prediction behind the shaded token loses without the head in
 * view, and the result beside that of other heads of the layer. A result belongs to its head and token: another choice
 * ends the test and takes the result away.
 */
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { isCancelled, toAppError } from '../../src/shared/app-error.ts';
import type { HeadTest } from '../../src/shared/attention-contract.ts';
import type { CausalRecord } from '../../src/shared/causal-contract.ts';
import { icon } from '../ui/icons.ts';
import { PageElement } from '../ui/page-element.ts';
import type { HeadAddress } from './head-grid-geometry.ts';

export type RunHeadTest = (place: HeadAddress & { readonly token: number }, signal: AbortSignal) => Promise<HeadTest>;

export class CausalCard extends PageElement {
  static override properties = {
    layer: { type: Number },
    head: { type: Number },
    token: { type: Number },
    label: {},
    result: { state: true },
    problem: { state: true },
    abort: { state: true },
  };

  declare layer: number;
  declare head: number;
  /** The shaded token, if any, and how it reads. */
  declare token: number | undefined;
  declare label: string | undefined;
  declare result: HeadTest | undefined;
  declare problem: string | undefined;
  /** Present while a test runs. */
  declare abort: AbortController | undefined;
  run!: RunHeadTest;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#forget();
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('layer') || changed.has('head') || changed.has('token')) this.#forget();
  }

  override render(): TemplateResult {
    return html`<section class="causal" aria-label="Causal test">
      ${this.abort ? this.#running() : this.#button()}
      <div role="status">${this.result ? result(this.result) : nothing}</div>
      ${this.problem === undefined ? nothing : html`<div class="notice is-warning" role="alert">${icon('warning')}<span class="grow">${this.problem}</span></div>`}
    </section>`;
  }

  #button(): TemplateResult {
    const hint =
      this.token === undefined
        ? 'Click a token to shade it: its prediction of the next token is what the test compares.'
        : html`Compares the prediction behind <bdi class="mono label">${this.label}</bdi> with and without this head.`;
    return html`<vscode-button appearance="secondary" ?disabled=${this.token === undefined} @click=${() => this.#test()}>Test this Head</vscode-button>
      ${this.result ? nothing : html`<p class="small muted">${hint}</p>`}`;
  }

  #running(): TemplateResult {
    return html`<vscode-button appearance="secondary" @click=${() => this.#forget()}>Cancel</vscode-button>
      <p class="small muted" role="status">Testing head ${this.layer}.${this.head}…</p>`;
  }

  async #test(): Promise<void> {
    const { layer, head, token } = this;
    if (token === undefined) return;
    this.#forget();
    const abort = new AbortController();
    this.abort = abort;
    try {
      const found = await this.run({ layer, head, token }, abort.signal);
      if (this.abort === abort) this.result = found;
    } catch (thrown) {
      if (this.abort === abort && !isCancelled(thrown)) this.problem = toAppError(thrown).message;
    } finally {
      if (this.abort === abort) this.abort = undefined;
    }
  }

  #forget(): void {
    this.abort?.abort();
    this.abort = undefined;
    this.result = undefined;
    this.problem = undefined;
  }
}

function result({ layer, head, target, isInText, zero, mean }: HeadTest): TemplateResult {
  const name = html`<bdi class="mono label">${target}</bdi>`;
  return html`<p>
      Without head ${layer}.${head}: probability of ${name}${isInText ? nothing : ', the most probable next token,'}
      ${numbers(zero)}.
    </p>
    <p>With its mean over this text instead: ${numbers(mean)}.</p>
    <p class="small muted">A lower bound: other heads may take over. In brackets, the 95 % range.</p>`;
}

function numbers({ original, changed, control }: CausalRecord): TemplateResult {
  const { effects, mean = 0, low = 0, high = 0 } = control;
  const heads = effects.length === 1 ? '1 random head' : `${effects.length} random heads`;
  const others =
    effects.length === 0
      ? 'this layer has no other heads to compare with'
      : html`${heads} of this layer: <span class="numbers">${signed(mean)} (${signed(low)} to ${signed(high)})</span>`;
  return html`<b class="numbers">${share(original)} → ${share(changed)}</b>; ${others}`;
}

/** Two decimals where they tell something, else more; never 0 for what is not 0. */
function share(value: number): string {
  if (value > 0 && value < 0.00005) return '<0.0001';
  return value.toFixed(value !== 0 && value < 0.1 ? 4 : 2);
}

function signed(value: number): string {
  const size = Math.abs(value);
  const sign = value < 0 ? '−' : '+';
  return size === 0 ? '0' : sign + share(size);
}
