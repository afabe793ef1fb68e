/** Every sampling parameter: what most people change first, the rest folded away with their values in sight. */
import { html, nothing } from 'lit';
import { defaultSampling } from '../../src/shared/sampling-settings.ts';
import { icon } from '../ui/icons.ts';
import { setBias, setSampling, setSeed } from './conversation.ts';
import { plural } from './numbers.ts';
import {
  changedCount,
  effectOf,
  isGreedy,
  readEscapes,
  type SliderControl,
  sliderControls,
  writeEscapes,
} from './sampling-controls.ts';
import type { PlaygroundSession } from './session.ts';
import { visibleText } from './visible-text.ts';

export function renderSamplingPanel(session: PlaygroundSession) {
  const { sampling } = session.draft;
  const changed = changedCount(sampling);
  const reset = () => session.edit((draft) => ({ ...draft, sampling: defaultSampling, biasLabels: {} }));
  return html`
    <div class="row panel-head">
      <h2 class="grow">Settings</h2>
      <button class="quiet small" ?disabled=${changed === 0} title="Set every parameter to its default" @click=${reset}>
        ${icon('reset')}Reset all
      </button>
    </div>
    ${renderGroup(session, 'main')}
    ${renderFold('Filters', describe(session, 'filters'), renderGroup(session, 'filters'), true)}
    ${renderFold('Repetition', describe(session, 'repetition'), renderGroup(session, 'repetition'))}
    ${renderFold('Seed', sampling.seed === undefined ? 'random' : String(sampling.seed), renderSeed(session))}
    ${renderFold('Stop strings', sampling.stop.length === 0 ? 'none' : String(sampling.stop.length), renderStops(session))}
    ${renderFold('Logit bias', describeBias(session), renderBias(session))}
    <p class="muted small">Order: logit bias, penalties, temperature, top-k, top-p, min-p.</p>
  `;
}

function renderGroup(session: PlaygroundSession, group: SliderControl['group']) {
  return sliderControls.filter((control) => control.group === group).map((control) => renderSlider(session, control));
}

function renderSlider(session: PlaygroundSession, { key, label, sentence, ...range }: SliderControl) {
  const { sampling } = session.draft;
  const used = session.prompt.encoded?.tokens.length;
  const room = session.contextLength !== undefined && used !== undefined ? session.contextLength - used : undefined;
  const { note, isIdle } = effectOf(key, sampling, { room });
  return html`<glass-slider
    data-key=${key} label=${label} description=${sentence} note=${note} ?idle=${isIdle}
    .value=${sampling[key]} .defaultValue=${defaultSampling[key]}
    .min=${range.min} .max=${range.max} .trackMax=${range.trackMax} .step=${range.step}
    @glass-change=${(event: CustomEvent<number>) => session.edit((draft) => setSampling(draft, { [key]: event.detail }))}
  ></glass-slider>`;
}

function renderFold(title: string, value: string, body: unknown, isOpen = false) {
  return html`<details class="fold" ?open=${isOpen}>
    <summary><h3>${title}</h3><span class="muted small numbers fold-value">${value}</span></summary>
    <div class="fold-body">${body}</div>
  </details>`;
}

function describe({ draft: { sampling } }: PlaygroundSession, group: SliderControl['group']): string {
  const on = sliderControls.filter((control) => control.group === group && sampling[control.key] !== control.off);
  return on.length === 0 ? 'off' : on.map(({ key, label }) => `${label.toLowerCase()} ${sampling[key]}`).join(', ');
}

function renderSeed(session: PlaygroundSession) {
  const { sampling } = session.draft;
  const last = lastSeed(session);
  const set = (seed: number | undefined) => session.edit((draft) => setSeed(draft, seed));
  const onTyped = (event: Event) => {
    const input = event.target as HTMLInputElement;
    if (Number.isFinite(input.valueAsNumber)) set(Math.min(0xffff_ffff, Math.max(0, Math.round(input.valueAsNumber))));
    else set(undefined);
    input.value = sampling.seed === undefined ? '' : String(session.draft.sampling.seed ?? '');
  };
  return html`
    <p class="muted small">The same seed gives the same answer to the same prompt on WebAssembly.</p>
    <vscode-checkbox ?checked=${sampling.seed === undefined} .checked=${sampling.seed === undefined}
      @change=${(event: Event) => set((event.target as HTMLInputElement).checked ? undefined : (sampling.seed ?? last ?? 1))}
    >A new random seed for every answer</vscode-checkbox>
    <label class="row"><span>Seed</span>
      <input class="field grow" type="number" min="0" max="4294967295" step="1" placeholder="random"
        .value=${sampling.seed === undefined ? '' : String(sampling.seed)} @change=${onTyped} />
    </label>
    ${
      last === undefined
        ? nothing
        : html`<div class="row small"><span class="grow numbers">Last used: ${last}</span>
            <button class="quiet" ?disabled=${sampling.seed === last} @click=${() => set(last)}>${icon('pin')}Pin</button></div>`
    }
    ${isGreedy(sampling) ? html`<p class="small">Idle: only one token is left at every step, nothing is drawn.</p>` : nothing}
  `;
}

function lastSeed({ draft }: PlaygroundSession): number | undefined {
  const versions = draft.messages.flatMap((message) => message.versions);
  return versions.toSorted((a, b) => b.id - a.id).find(({ numbers }) => numbers?.seed !== undefined)?.numbers?.seed;
}

function renderStops(session: PlaygroundSession) {
  const { stop } = session.draft.sampling;
  const set = (next: string[]) => session.edit((draft) => setSampling(draft, { stop: next }));
  const onAdd = (event: Event) => {
    event.preventDefault();
    const input = (event.target as HTMLFormElement).elements.namedItem('stop') as HTMLInputElement;
    const text = readEscapes(input.value);
    if (text !== '' && !stop.includes(text)) set([...stop, text]);
    input.value = '';
  };
  return html`
    <p class="muted small">The answer ends before the first of these. Write \\n for a line break.</p>
    <ul class="chips">
      ${stop.map(
        (one) => html`<li class="chip"><code>${writeEscapes(one)}</code>
          <button class="quiet" aria-label=${`Remove stop string ${writeEscapes(one)}`} title="Remove"
            @click=${() => set(stop.filter((other) => other !== one))}>${icon('close')}</button></li>`,
      )}
    </ul>
    <form class="row nowrap" @submit=${onAdd}>
      <input class="field grow" name="stop" aria-label="New stop string" placeholder="Stop string" autocomplete="off" />
      <button class="quiet" title="Add" aria-label="Add stop string">${icon('add')}</button>
    </form>
  `;
}

function describeBias({ draft }: PlaygroundSession): string {
  const count = Object.keys(draft.sampling.logitBias ?? {}).length;
  return count === 0 ? 'none' : plural(count, 'token');
}

function renderBias(session: PlaygroundSession) {
  const { sampling, biasLabels } = session.draft;
  const onAdd = (event: Event) => {
    event.preventDefault();
    const fields = (event.target as HTMLFormElement).elements;
    const text = fields.namedItem('text') as HTMLInputElement;
    const bias = fields.namedItem('bias') as HTMLInputElement;
    if (text.value === '' || !Number.isFinite(bias.valueAsNumber)) return;
    void session.addBias(readEscapes(text.value), Math.min(100, Math.max(-100, bias.valueAsNumber)));
    text.value = '';
  };
  const rows = Object.entries(sampling.logitBias ?? {}).map(([id, bias]) => {
    const label = biasLabels[id] ?? '';
    const set = (value: number | undefined) => session.edit((draft) => setBias(draft, Number(id), label, value));
    const onTyped = (event: Event) => {
      const { valueAsNumber } = event.target as HTMLInputElement;
      if (Number.isFinite(valueAsNumber)) set(Math.min(100, Math.max(-100, valueAsNumber)));
    };
    return html`<li class="row nowrap">
      <code class="grow">${visibleText(label)}</code><span class="muted small numbers">id ${id}</span>
      <input class="field bias" type="number" min="-100" max="100" step="1" aria-label=${`Bias of ${visibleText(label)}`}
        .value=${String(bias)} @change=${onTyped} />
      <button class="quiet" title="Remove" aria-label=${`Remove the bias of ${visibleText(label)}`}
        @click=${() => set(undefined)}>${icon('close')}</button>
    </li>`;
  });
  return html`
    <p class="muted small">Added to a token’s logit before anything else: 5 makes it likely, −100 forbids it. A space
      before a word makes another token.</p>
    <ul class="biases">${rows}</ul>
    <form class="row nowrap" @submit=${onAdd}>
      <input class="field grow" name="text" aria-label="Text to bias" placeholder="Text" autocomplete="off" />
      <input class="field bias" name="bias" type="number" min="-100" max="100" step="1" value="5" aria-label="Bias" />
      <button class="quiet" title="Add" aria-label="Add bias" ?disabled=${session.engine.kind !== 'ready'}>${icon('add')}</button>
    </form>
  `;
}
