/** What the page says of the engine and of the run under way: state, progress, remedies. */
import { html, nothing } from 'lit';
import { icon } from '../ui/icons.ts';
import { formatBytes, formatCount, formatRate, plural, rate } from './numbers.ts';
import type { Run } from './run.ts';
import type { PlaygroundSession } from './session.ts';

/** Model, device and memory, or what stands in the way. */
export function renderModelLine({ engine, stats }: PlaygroundSession) {
  if (engine.kind !== 'ready') {
    const words = { off: 'No model loaded', loading: 'Loading the model…', failed: 'The model is not available' };
    return html`<span class="muted">${words[engine.kind]}</span>`;
  }
  const { modelName, device, weightsBytes } = engine.model;
  const reason = `${engine.model.deviceReason} ${engine.model.runtimeReason}`;
  const memory = stats ? stats.wasmBytes || weightsBytes + stats.cacheBytes : weightsBytes;
  const title = stats
    ? `${reason}\nWeights ${formatBytes(weightsBytes)}, remembered prompts ${formatBytes(stats.cacheBytes)}`
    : reason;
  return html`<span class="model-line numbers" title=${title}><b>${modelName}</b>
    <span class="muted">${device === 'webgpu' ? 'WebGPU' : 'WebAssembly'} · ${formatBytes(memory)} of memory</span></span>`;
}

export function renderEngineNotice(session: PlaygroundSession) {
  const { engine } = session;
  if (engine.kind === 'ready') return nothing;
  if (engine.kind === 'off') {
    return html`<div class="notice">${icon('info')}<span class="grow">No model is loaded.</span>
      <vscode-button @click=${() => session.startEngine()}>Load the model</vscode-button></div>`;
  }
  if (engine.kind === 'failed') {
    return html`<div class="notice is-error" role="alert">${icon('warning')}<span class="grow">${engine.error.message}</span>
      <vscode-button @click=${() => session.startEngine()}>Retry</vscode-button>
      <vscode-button appearance="secondary" @click=${() => session.showLog()}>Show log</vscode-button></div>`;
  }
  const percent = engine.fraction === undefined ? undefined : Math.round(engine.fraction * 100);
  return html`<div class="notice loading"><div class="grow">
    <div class="row small numbers"><span class="grow">${engine.message || `Loading ${engine.modelName}`}</span>
      ${percent === undefined ? nothing : html`<span>${percent} %</span>`}</div>
    ${renderBar('Loading the model', engine.fraction)}
  </div></div>`;
}

/** The run under way, in one line with a bar. */
export function renderRun(session: PlaygroundSession) {
  const { run, engine } = session;
  if (!run) return nothing;
  const fraction = run.phase === 'prefill' && run.total > 0 ? run.done / run.total : undefined;
  return html`<div class="run-line">
    ${run.phase === 'decode' ? nothing : renderBar('Reading the prompt', fraction)}
    <p class="muted small numbers" role="status">${describeRun(run, engine.kind === 'ready')}</p>
  </div>`;
}

function describeRun(run: Run, isReady: boolean): string {
  const { phase, ahead, done, total, reused, generated, firstTokenAt } = run;
  if (phase === 'starting') return isReady ? 'Starting…' : 'Waiting for the model to load…';
  if (phase === 'queued') return ahead === 0 ? 'Next in the queue…' : `Waiting for ${plural(ahead, 'other request')}…`;
  const known = reused > 0 ? `, ${formatCount(reused)} reused` : '';
  if (phase === 'prefill') return `Reading the prompt: ${formatCount(done)} of ${plural(total, 'token')}${known}`;
  const speed = firstTokenAt === undefined ? undefined : rate(generated - 1, Date.now() - firstTokenAt);
  return `Writing: ${plural(generated, 'token')}${speed === undefined ? '' : `, ${formatRate(speed)}`}`;
}

function renderBar(label: string, fraction: number | undefined) {
  const now = fraction === undefined ? undefined : Math.round(fraction * 100);
  return html`<div class=${`bar ${now === undefined ? 'is-unknown' : ''}`} role="progressbar" aria-label=${label}
    aria-valuemin="0" aria-valuemax="100" aria-valuenow=${now ?? nothing}
  ><div style=${now === undefined ? '' : `width: ${now}%`}></div></div>`;
}

/** The scale of the token colours, and the choice between the two probabilities. */
export function renderLegend(session: PlaygroundSession) {
  const { colour } = session.draft.view;
  const choice = (value: typeof colour, label: string, title: string) =>
    html`<button class="quiet small" title=${title} aria-pressed=${colour === value}
      @click=${() => session.edit((draft) => ({ ...draft, view: { ...draft.view, colour: value } }))}>${label}</button>`;
  return html`<div class="legend small">
    <span class="muted">Token probability</span>
    <span class="legend-choice" role="group" aria-label="Colour tokens by">
      ${choice('off', 'Off', 'No colours')}
      ${choice('raw', 'Model', 'The probability the model gave the token, before any filter')}
      ${choice('filtered', 'After filters', 'The probability the token was drawn with, after temperature and all filters')}
    </span>
    ${
      colour === 'off'
        ? nothing
        : html`<span class="legend-scale numbers" title="The tint grows linearly as the probability falls">
            <span>0 %</span><span class="legend-ramp" role="img" aria-label="Strong tint: 0 percent. No tint: 100 percent. Linear."></span><span>100 %</span>
          </span>`
    }
  </div>`;
}
