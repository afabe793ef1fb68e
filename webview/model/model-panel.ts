/** The Model view: what is loaded and where it runs, how far a load is, how fast it answers, what it holds in memory. */
import { html, nothing, type TemplateResult } from 'lit';
import type { EngineStats, GenerateResult, ModelInfo } from '../../src/shared/engine-contract.ts';
import type { EngineState } from '../../src/shared/engine-state.ts';
import type { ModelAction, ModelView } from '../../src/shared/model-page-contract.ts';
import { deviceName, formatBytes, formatDuration, formatRate, speedOf } from '../../src/shared/run-speed.ts';
import { type IconName, icon } from '../ui/icons.ts';
import { PageElement, send } from '../ui/page-element.ts';

type State<K extends EngineState['kind']> = Extract<EngineState, { kind: K }>;
type Row = readonly [term: string, value: string | TemplateResult];

const stateWords = { off: 'Not loaded', loading: 'Loading', ready: 'Ready', failed: 'Stopped' } as const;

/** Dispatches `model-action` with a ModelAction. */
export class ModelPanel extends PageElement {
  static override properties = {
    view: { attribute: false },
    stats: { attribute: false },
    lastRun: { attribute: false },
    isWorking: { attribute: false },
  };

  declare view: ModelView | undefined;
  declare stats: EngineStats | undefined;
  declare lastRun: GenerateResult | undefined;
  /** The worker has something to do. */
  declare isWorking: boolean;

  protected override render(): TemplateResult {
    if (!this.view) return html`<p class="muted">Waiting for Glasshead…</p>`;
    const { state, configured } = this.view;
    const name = state.kind === 'ready' ? state.model.modelName : configured.name;
    return html`
      <header>
        <h1>${name}</h1>
        <p class="muted small">${configured.detail}</p>
        <p class="state is-${state.kind}">
          <span class="light" aria-hidden="true"></span>
          <span role="status">${stateWords[state.kind]}</span>
          ${state.kind === 'ready' ? html`<span>on ${deviceName(state.model.device)}</span>` : nothing}
          ${this.isWorking && state.kind === 'ready' ? html`<span class="muted">· working</span>` : nothing}
        </p>
      </header>
      ${this.#body(state)}
      <div class="row actions" role="group" aria-label="Engine">
        ${state.kind === 'ready' ? this.#quiet('restart', 'reset', 'Restart') : nothing}
        ${state.kind === 'ready' ? this.#quiet('stop', 'close', 'Unload') : nothing}
        ${this.#quiet('showLog', 'info', 'Show log')}
        ${this.#quiet('openSettings', 'settings', 'Settings')}
      </div>
    `;
  }

  #body(state: EngineState): TemplateResult {
    if (state.kind === 'off') return this.#off();
    if (state.kind === 'loading') return this.#loading(state);
    if (state.kind === 'failed') return this.#failed(state);
    return this.#ready(state.model);
  }

  #off(): TemplateResult {
    return html`
      <p>The model loads by itself when it is first needed. It runs inside this view and sends nothing anywhere.</p>
      ${this.#loud('load', 'Load model')}
    `;
  }

  #loading({ message, fraction, phase, done = 0, total = 0 }: State<'loading'>): TemplateResult {
    const percent = fraction === undefined ? undefined : Math.floor(fraction * 100);
    const isReading = phase === 'fetch' || phase === 'verify';
    const bytes = isReading && total > 0 ? `${formatBytes(done)} of ${formatBytes(total)}` : '';
    const figures = [percent === undefined ? '' : `${percent} %`, bytes].filter(Boolean).join(', ');
    return html`
      <div>
        <div
          class="bar ${percent === undefined ? 'is-unknown' : ''}" role="progressbar" aria-label="Loading the model"
          aria-valuemin="0" aria-valuemax="100" aria-valuenow=${percent ?? nothing} aria-valuetext=${figures || nothing}
        ><div style=${percent === undefined ? nothing : `width: ${percent}%`}></div></div>
        <p class="small load-line"><span class="grow">${message}</span> <span class="numbers muted">${figures}</span></p>
      </div>
      ${this.#loud('stop', 'Stop loading', 'secondary')}
    `;
  }

  #failed({ error }: State<'failed'>): TemplateResult {
    return html`
      <div class="notice is-error" role="alert">
        ${icon('warning')}
        <p class="grow">${error.message}</p>
      </div>
      ${this.#loud('load', error.code === 'model-damaged' ? 'Reload' : 'Retry')}
    `;
  }

  #ready(model: ModelInfo): TemplateResult {
    return html`
      ${model.inspectionRefused ? html`<p class="notice is-warning">${icon('warning')} ${model.inspectionRefused}</p>` : nothing}
      ${facts('Device', [
        ['Runs on', deviceName(model.device)],
        ['Why', model.deviceReason],
        ['Runtime', model.runtimeReason],
      ])}
      ${model.kind === 'decoder' ? facts('Last answer', this.#speedRows(), 'Nothing has been generated yet.') : nothing}
      ${facts('Memory', this.#memoryRows(model))}
      ${facts('Model', [
        ['Kind', kindNames[model.kind]],
        ['Layers', count(model.layers)],
        ['Heads', `${count(model.heads)}, with ${count(model.kvHeads)} for keys and values`],
        ['Head size', count(model.headDim)],
        ...(model.kind === 'vision' ? [] : textRows(model)),
        ['Loaded in', formatDuration(model.loadMs)],
      ])}
    `;
  }

  #speedRows(): Row[] {
    const run = this.lastRun;
    if (!run) return [];
    const { firstTokenMs, prefillPerSecond, decodePerSecond } = speedOf(run);
    const reused = run.reusedTokens > 0 ? `, ${count(run.reusedTokens)} of them remembered` : '';
    return [
      ['First token', `after ${formatDuration(firstTokenMs)}`],
      ['Prefill', prefillPerSecond === undefined ? 'all remembered' : `${formatRate(prefillPerSecond)} tokens/s`],
      ['Decode', decodePerSecond === undefined ? '–' : `${formatRate(decodePerSecond)} tokens/s`],
      ['Prompt', `${count(run.promptTokens)} tokens${reused}`],
      ['Answer', `${count(run.generatedTokens)} tokens`],
    ];
  }

  #memoryRows(model: ModelInfo): Row[] {
    const rows: Row[] = [['Weights', formatBytes(model.weightsBytes)]];
    if (!this.stats || model.kind !== 'decoder') return rows;
    const { wasmBytes, cacheBytes, caches } = this.stats;
    if (wasmBytes > 0) rows.push(['WebAssembly', formatBytes(wasmBytes)]);
    const held = caches === 1 ? '1 prompt' : `${count(caches)} prompts`;
    return [...rows, ['Caches', caches === 0 ? 'empty' : `${formatBytes(cacheBytes)}, ${held} remembered`]];
  }

  #loud(action: ModelAction, label: string, appearance: 'primary' | 'secondary' = 'primary'): TemplateResult {
    return html`<vscode-button appearance=${appearance} @click=${() => this.#act(action)}>${label}</vscode-button>`;
  }

  #quiet(action: ModelAction, name: IconName, label: string): TemplateResult {
    return html`<button class="quiet" type="button" @click=${() => this.#act(action)}>${icon(name)} ${label}</button>`;
  }

  #act(action: ModelAction): void {
    send(this, 'model-action', action);
  }
}

const kindNames: Readonly<Record<ModelInfo['kind'], string>> = {
  decoder: 'decoder: prompts, completions, attention',
  encoder: 'encoder: attention only',
  'encoder-decoder': 'encoder-decoder: attention only, of source, answer and both',
  vision: 'vision: attention of pictures only',
};

function textRows({ kind, vocabSize, contextLength, hasChatTemplate }: ModelInfo): Row[] {
  const rows: Row[] = [
    ['Vocabulary', `${count(vocabSize)} tokens`],
    ['Context', `${count(contextLength)} tokens`],
  ];
  if (kind !== 'decoder') return rows;
  return [...rows, ['Chat', hasChatTemplate ? 'has a chat template' : 'no chat template: it continues text']];
}

function facts(title: string, rows: readonly Row[], empty = ''): TemplateResult {
  return html`
    <section>
      <h2>${title}</h2>
      ${rows.length === 0 ? html`<p class="muted">${empty}</p>` : nothing}
      <dl>${rows.map(([term, value]) => html`<div><dt>${term}</dt><dd class="numbers">${value}</dd></div>`)}</dl>
    </section>
  `;
}

function count(value: number): string {
  return value.toLocaleString('en');
}
