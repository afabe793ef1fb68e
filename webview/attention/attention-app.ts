/** `<attention-app>`: the whole panel, one screen a state. Every screen says what it shows and what can be done next. */
import { html, nothing, type TemplateResult } from 'lit';
import type { PanelState, PanelToken, ShownState } from '../../src/shared/attention-contract.ts';
import { icon } from '../ui/icons.ts';
import { PageElement } from '../ui/page-element.ts';
import { onThemeChange, readThemeKind } from '../ui/theme.ts';
import type { RunHeadTest } from './causal-card.ts';
import type { HeadAddress } from './head-grid-geometry.ts';
import { groupOf, hasGroups } from './head-grid-geometry.ts';
import { paletteGradient, type Scale, scaleTicks } from './heat-palette.ts';
import type { CursorMove, Mark } from './heatmap.ts';
import type { Cell } from './heatmap-geometry.ts';
import { mapTokens, stackOf, stackWords } from './map-sequences.ts';
import type { PanelModel } from './panel-model.ts';
import { rangeOf, readout } from './readout.ts';
import { tabId } from './stack-tabs.ts';
import { tokenSection } from './token-section.ts';

const scaleNames: Readonly<Record<Scale, string>> = {
  doubling: 'Doubling steps, 1/1024 to 1',
  linear: 'Linear, 0 to 1',
  row: 'Linear, 0 to each row’s largest',
};

export class AttentionApp extends PageElement {
  static override properties = { themeVersion: { state: true } };

  declare themeVersion: number;
  model!: PanelModel;
  #stopTheme: (() => void) | undefined;
  // Every move of the mouse renders, so what depends on the text or the map alone is kept.
  readonly #queryLabels = once(labelsOf);
  readonly #keyLabels = once(labelsOf);
  readonly #range = once(rangeOf);

  constructor() {
    super();
    this.themeVersion = 0;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#stopTheme = onThemeChange(() => {
      this.themeVersion++;
    });
    document.addEventListener('keydown', this.#onKey);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stopTheme?.();
    document.removeEventListener('keydown', this.#onKey);
  }

  override render() {
    const { state, problem } = this.model;
    return html`<main data-state=${state?.kind ?? 'none'}>
      ${problem === undefined ? nothing : this.#error(problem)} ${state ? this.#screen(state) : nothing}
    </main>`;
  }

  #screen(state: PanelState): TemplateResult {
    switch (state.kind) {
      case 'empty':
        return this.#empty(state.hint);
      case 'loading':
        return this.#loading(state.title, state.message, state.fraction);
      case 'tooLong':
        return this.#tooLong(state);
      case 'failed':
        return html`<h2>${state.title}</h2>
          ${this.#error(state.error.message)}`;
      case 'refused':
        return html`<div class="notice is-warning" role="alert">${icon('warning')}<span class="grow">${state.reason}</span></div>`;
      case 'shown':
        return this.#shown(state);
    }
  }

  #empty(hint: string | undefined): TemplateResult {
    return html`<section class="start">
      ${hint === undefined ? nothing : html`<div class="notice is-info" role="status">${icon('info')}<span class="grow">${hint}</span></div>`}
      <p>See which tokens each token of a text attends to, in every head of the model.</p>
      <ol>
        <li>Select some text in an editor: a sentence, or a few lines of code.</li>
        <li>Press the button, or choose <b>Inspect Attention of Selection</b> in the editor’s context menu.</li>
        <li>Click a token: the editor shades what it attends to.</li>
      </ol>
      <p class="muted small">With a vision model: choose <b>Inspect Attention of Image</b> on a picture in the Explorer.</p>
      <vscode-button @click=${() => this.model.order('inspectSelection')}>Inspect Selection</vscode-button>
    </section>`;
  }

  #loading(title: string, message: string, fraction: number | undefined): TemplateResult {
    const percent = fraction === undefined ? undefined : Math.round(fraction * 100);
    return html`<section class="work">
      <h2>${title}</h2>
      <div
        class=${percent === undefined ? 'bar is-unknown' : 'bar'} role="progressbar" aria-label=${message}
        aria-valuenow=${percent ?? nothing} aria-valuemin="0" aria-valuemax="100"
      ><div style=${percent === undefined ? nothing : `width: ${percent}%`}></div></div>
      <p role="status">${message}${percent === undefined ? '…' : html`: <span class="numbers">${percent} %</span>`}</p>
      <vscode-button appearance="secondary" @click=${() => this.model.order('cancel')}>Cancel</vscode-button>
    </section>`;
  }

  #tooLong({ title, tokens, hasMore, limit }: Extract<PanelState, { kind: 'tooLong' }>): TemplateResult {
    const count = `${hasMore ? 'more than ' : ''}${tokens}`;
    return html`<section class="work">
      <h2>${title}</h2>
      <div class="notice is-warning" role="alert">${icon('warning')}<span class="grow">
        This text has ${count} tokens; up to ${limit} are inspected at once. A map has a weight for every pair of tokens.
      </span></div>
      <vscode-button @click=${() => this.model.order('inspectFirst')}>Inspect the First ${limit} Tokens</vscode-button>
      <vscode-button appearance="secondary" @click=${() => this.model.order('openSettings')}>Change the Limit</vscode-button>
    </section>`;
  }

  #error(message: string): TemplateResult {
    return html`<div class="notice is-error" role="alert">
      ${icon('warning')}<span class="grow">${message}</span>
      <vscode-button @click=${() => this.model.order('retry')}>Retry</vscode-button>
    </div>`;
  }

  #shown(state: ShownState): TemplateResult {
    const count = state.tokens.length;
    const { about } = stackWords(stackOf(state), state.picture !== undefined);
    const isAlone = state.stacks.length === 1;
    return html`<header>
        <h2>${state.title}</h2>
        <p class="muted small numbers">
          ${counted(count, 'token')}${state.target ? `, ${state.target.length} of the answer` : ''}, ${counted(state.layers, 'layer')} of ${counted(state.heads, 'head')}, run in ${formatDuration(state.runMs)}
        </p>
        ${state.notes.map((note) => html`<p class="small note">${note}</p>`)} ${this.#stale(state)}
      </header>
      ${isAlone ? nothing : this.#tabs(state)}
      ${isAlone && stackOf(state).isCausal ? nothing : html`<p class="muted small about-stack">${about}</p>`}
      <div
        class="columns" id="stack-panel" role=${isAlone ? nothing : 'tabpanel'}
        aria-labelledby=${isAlone ? nothing : tabId(state.stack)}
      >
        <section class="heads" aria-label="Heads">${this.#selectors(state)} ${this.#grid(state)}</section>
        <section class="map" aria-label="Weights">${this.#heatmap(state)}</section>
        <section class="text" aria-label="Text">${tokenSection(state, this.model)}</section>
      </div>`;
  }

  #tabs(state: ShownState): TemplateResult {
    return html`<attention-tabs
      .names=${state.stacks.map((stack) => stackWords(stack, state.picture !== undefined).tab)} .chosen=${state.stack}
      @stack-choose=${(event: CustomEvent<number>) => this.model.showStack(event.detail)}
    ></attention-tabs>`;
  }

  #stale({ document }: ShownState): TemplateResult | typeof nothing {
    if (document !== 'changed' && document !== 'closed') return nothing;
    const what = document === 'changed' ? 'The text was changed after this run, so' : 'The document was closed, so';
    return html`<div class="notice is-warning" role="status">
      ${icon('warning')}<span class="grow">${what} the editor is no longer shaded. The weights below are those of the text as it was.</span>
      <vscode-button appearance="secondary" @click=${() => this.model.order('inspectSelection')}>Inspect Selection</vscode-button>
    </div>`;
  }

  #selectors({ layers, heads, kvHeads }: ShownState): TemplateResult {
    const { layer, head } = this.model.chosen;
    const frame = { layers, heads, kvHeads, width: 0 };
    return html`<div class="row selectors">
      ${this.#stepper('Layer', layer, layers, (value) => ({ layer: value, head }))}
      ${this.#stepper('Head', head, heads, (value) => ({ layer, head: value }))}
      ${hasGroups(frame) ? html`<span class="muted small" title="Heads of one group share their keys and values">KV group ${groupOf(frame, head)}</span>` : nothing}
    </div>`;
  }

  #stepper(label: string, value: number, count: number, toAddress: (value: number) => HeadAddress): TemplateResult {
    const show = (next: number) => {
      const inside = Math.min(count - 1, Math.max(0, Math.round(next)));
      void this.model.show(toAddress(inside));
    };
    const onChange = (event: Event) => {
      const input = event.target as HTMLInputElement;
      if (Number.isFinite(input.valueAsNumber)) show(input.valueAsNumber);
      input.value = String(this.model.chosen[label === 'Layer' ? 'layer' : 'head']); // what could not be used is put back
    };
    const id = `choose-${label.toLowerCase()}`;
    return html`<span class="stepper">
      <label for=${id}>${label}</label>
      <button class="quiet" aria-label=${`Previous ${label.toLowerCase()}`} ?disabled=${value <= 0} @click=${() => show(value - 1)}>${icon('previous')}</button>
      <input id=${id} class="field numbers" type="number" min="0" max=${count - 1} step="1" .value=${String(value)} @change=${onChange} />
      <button class="quiet" aria-label=${`Next ${label.toLowerCase()}`} ?disabled=${value >= count - 1} @click=${() => show(value + 1)}>${icon('next')}</button>
    </span>`;
  }

  #grid(state: ShownState): TemplateResult {
    const { layers, heads, kvHeads } = state;
    const { thumbnails, chosen, scale } = this.model;
    const missing = layers - thumbnails.size;
    return html`<attention-head-grid
        .layers=${layers} .heads=${heads} .kvHeads=${kvHeads} .isCausal=${stackOf(state).isCausal} .chosen=${chosen} .thumbnails=${thumbnails}
        .loaded=${thumbnails.size} .scale=${scale} .themeVersion=${this.themeVersion}
        @head-choose=${(event: CustomEvent<HeadAddress>) => this.model.show(event.detail)}
      ></attention-head-grid>
      <p class="muted small">
        ${missing > 0 ? `Drawing the heads: ${layers - missing} of ${layers} layers.` : 'Rows are layers, columns are heads. Each cell of a picture is the largest weight there.'}
      </p>`;
  }

  #heatmap(state: ShownState): TemplateResult {
    const tokens = mapTokens(state);
    const { map, scale, zoom, cursor, isMapLoading } = this.model;
    if (!map) return html`<p class="muted">Computing the map…</p>`;
    const name = `layer ${map.layer}, head ${map.head}`;
    return html`<div class="row map-head">
        <h3 class="grow">Layer ${map.layer}, head ${map.head}</h3>
        <button class="quiet" aria-label="Smaller cells" ?disabled=${zoom === 0} @click=${() => this.#zoom(-1)}>−</button>
        <button class="quiet" aria-label="Larger cells" ?disabled=${zoom >= 8} @click=${() => this.#zoom(1)}>+</button>
      </div>
      <attention-heatmap
        aria-busy=${isMapLoading} .map=${map} .queryLabels=${this.#queryLabels(tokens.queries)} .keyLabels=${this.#keyLabels(tokens.keys)} .name=${name} .scale=${scale} .zoom=${zoom}
        .cursor=${cursor?.cell} .mark=${state.shading} .themeVersion=${this.themeVersion}
        @cell-hover=${(event: CustomEvent<CursorMove>) => this.model.setCursor(event.detail)}
        @cell-choose=${(event: CustomEvent<Cell>) => this.#chooseCell(event.detail)}
        @label-choose=${(event: CustomEvent<Mark>) => this.model.choose(event.detail.token, event.detail.direction)}
        @zoom=${(event: CustomEvent<number>) => this.#zoom(event.detail)}
      ></attention-heatmap>
      ${readout(map, tokens, cursor)} ${this.#legend()} ${this.#causalCard(state, map)}`;
  }

  /** Of models that predict the next token of the text. */
  #causalCard(state: ShownState, { layer, head }: HeadAddress): TemplateResult | typeof nothing {
    if (stackOf(state).name !== 'decoder' || state.target) return nothing;
    const token = state.shading?.token;
    return html`<attention-causal-card
      .run=${this.#testHead} .layer=${layer} .head=${head} .token=${token} .label=${state.tokens[token ?? -1]?.label}
    ></attention-causal-card>`;
  }

  #legend(): TemplateResult {
    const { map, scale } = this.model;
    const { min, max } = map ? this.#range(map) : { min: 0, max: 0 };
    const onChange = (event: Event) => this.model.setScale((event.target as HTMLSelectElement).value as Scale);
    return html`<div class="legend">
      <label class="small" for="scale">Colour scale of the weights</label>
      <select id="scale" class="field" @change=${onChange}>
        ${(['doubling', 'linear', 'row'] as const).map((one) => html`<option value=${one} ?selected=${one === scale}>${scaleNames[one]}</option>`)}
      </select>
      <div class="gradient" style=${`background-image: ${paletteGradient(readThemeKind())}`}></div>
      <div class="ticks small muted numbers">${scaleTicks[scale].map((tick) => html`<span>${tick}</span>`)}</div>
      <p class="small muted">
        ${map?.isBidirectional ? nothing : html`<span class="hatched" aria-hidden="true"></span> No weight: the key comes after the query.`}
        Weights of this head: <span class="numbers">${min.toFixed(4)} to ${max.toFixed(4)}</span>.
      </p>
    </div>`;
  }

  #chooseCell({ query, key }: Cell): void {
    void this.model.choose(this.model.direction === 'attends' ? query : key);
  }

  readonly #testHead: RunHeadTest = (place, signal) => this.model.testHead(place, signal);

  #zoom(by: number): void {
    this.model.setZoom(Math.min(8, this.model.zoom + by));
  }

  readonly #onKey = (event: KeyboardEvent): void => {
    if (event.key === 'Escape' && !event.defaultPrevented) void this.model.order('clearShading');
  };
}

function labelsOf(tokens: readonly PanelToken[]): string[] {
  return tokens.map(({ label }) => label);
}

function counted(count: number, what: string): string {
  return `${count} ${count === 1 ? what : `${what}s`}`;
}

function formatDuration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Remembers the last result for as long as the argument is the same object. */
function once<A extends object, R>(compute: (argument: A) => R): (argument: A) => R {
  let last: { readonly argument: A; readonly result: R } | undefined;
  return (argument) => {
    if (last?.argument !== argument) last = { argument, result: compute(argument) };
    return last.result;
  };
}
