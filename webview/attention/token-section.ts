/** The part of the panel that shows the tokens themselves: one text or picture, or the two of cross attention. */
import { html, type TemplateResult } from 'lit';
import { levelCount } from '../../src/shared/attention/levels.ts';
import type { Direction } from '../../src/shared/attention/weights.ts';
import type { ShownState } from '../../src/shared/attention-contract.ts';
import { icon } from '../ui/icons.ts';
import { mapTokens, shadesOn, stackOf } from './map-sequences.ts';
import type { PanelModel } from './panel-model.ts';

const sequenceNames = {
  source: 'Tokens of the text',
  target: 'Tokens of the answer',
  pooling: 'Learned query',
} as const;

export function tokenSection(state: ShownState, model: PanelModel): TemplateResult {
  const { queries, keys } = stackOf(state);
  return html`${queries === keys ? oneText(state, model) : twoTexts(state, model)}
    <div class="levels" aria-hidden="true">
      ${Array.from({ length: levelCount }, (_, index) => html`<span style=${`background-color: var(--vscode-glasshead-attentionLevel${index + 1})`}></span>`)}
    </div>
    <div class="ticks small muted numbers" aria-hidden="true"><span>1/1024</span><span>1/32</span><span>≥ 1/2</span></div>
    <p class="small muted">Each step of the shade is twice the weight. Hover over a token for its number.</p>
    <p class="small muted about">
      A weight is the share of a token’s attention, in this one head, that goes to another token: 0 to 1, and all that
      one token gives sums to 1. It says where the head reads from, not what it does with what it reads.
    </p>`;
}

/** A text, or a picture, that attends to itself. */
function oneText(state: ShownState, model: PanelModel): TemplateResult {
  const place = state.document === 'live' && stackOf(state).queries === 'source' ? 'here and in the editor' : 'here';
  const what = state.picture ? 'a patch' : 'a token';
  return html`<h3>Click ${what} to shade, ${place}:</h3>
    <div class="row directions" role="radiogroup" aria-label="What is shaded">
      ${direction('attends', 'what it attends to', model)}
      ${direction('attended', 'what attends to it', model)} ${clear(state, model)}
    </div>
    ${sequence(state, model, 'both')}`;
}

/** A query of one sequence is asked what it attends to in the other, a key what attends to it. */
function twoTexts(state: ShownState, model: PanelModel): TemplateResult {
  const isPooling = stackOf(state).queries === 'pooling';
  return html`<h3>${isPooling ? 'Learned query' : 'Answer'}: click a token to shade what it attends to</h3>
    ${sequence(state, model, 'queries')}
    <h3>${state.picture ? 'Picture' : 'Source'}: click to shade what attends to it</h3>
    ${sequence(state, model, 'keys')}
    <div class="row directions">${clear(state, model)}</div>`;
}

function sequence(state: ShownState, model: PanelModel, axis: 'queries' | 'keys' | 'both'): TemplateResult {
  const stack = stackOf(state);
  const tokens = mapTokens(state)[axis === 'both' ? 'queries' : axis];
  const { weights, marked } = shadesOn(state, model.map, axis);
  const onChoose = ({ detail }: CustomEvent<number>) =>
    model.choose(detail, axis === 'both' ? model.direction : axis === 'queries' ? 'attends' : 'attended');
  const name = axis === 'both' ? stack.queries : stack[axis];
  if (state.picture && name === 'source')
    return html`<attention-patch-grid
      .picture=${state.picture} .pixels=${model.pixels} .tokens=${tokens} .weights=${weights} .marked=${marked} @token-choose=${onChoose}
    ></attention-patch-grid>`;
  return html`<attention-tokens
    .name=${sequenceNames[name]} .tokens=${tokens} .weights=${weights} .marked=${marked} @token-choose=${onChoose}
  ></attention-tokens>`;
}

function clear({ shading }: ShownState, model: PanelModel): TemplateResult {
  return html`<button class="quiet" ?disabled=${!shading} @click=${() => model.order('clearShading')}>${icon('close')} Clear</button>`;
}

function direction(value: Direction, label: string, model: PanelModel): TemplateResult {
  return html`<label class="direction"
    ><input type="radio" name="direction" value=${value} .checked=${value === model.direction} @change=${() => model.setDirection(value)} />${label}</label
  >`;
}
