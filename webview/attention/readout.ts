/** The sentence below the heatmap: which tokens, which number, or why there is none. */
import { html, nothing, type TemplateResult } from 'lit';
import { formatWeight } from '../../src/shared/attention/levels.ts';
import { isVisible, keysOf, weightAt } from '../../src/shared/attention/weights.ts';
import type { PanelToken } from '../../src/shared/attention-contract.ts';
import type { CursorMove } from './heatmap.ts';
import type { ShownMap } from './panel-model.ts';

/** What the rows and the columns of a map stand for. */
export interface MapTokens {
  readonly queries: readonly PanelToken[];
  readonly keys: readonly PanelToken[];
}

export function readout(map: ShownMap, tokens: MapTokens, cursor: CursorMove | undefined): TemplateResult {
  const live = cursor?.by === 'keyboard' ? 'polite' : 'off';
  const cell = cursor?.cell;
  return html`<p class="readout" role="status" aria-live=${live}>
    ${cell ? sentence(map, tokens, cell) : html`<span class="muted">Point at a cell to read its weight.</span>`}
  </p>`;
}

function sentence(map: ShownMap, { queries, keys }: MapTokens, { query, key }: { query: number; key: number }) {
  const name = (tokens: readonly PanelToken[], token: number) =>
    html`<span class="muted">${token}</span> <bdi class="mono label">${tokens[token]?.label}</bdi>`;
  const own = name(queries, query);
  const weight = weightAt(map, query, key);
  if (weight === undefined)
    return html`<b class="weight">no weight</b> ${name(keys, key)} comes after ${own}, which attends only to itself and to tokens before it.`;
  const target = queries === keys && query === key ? html`itself` : name(keys, key);
  return html`<b class="weight numbers" data-query=${query} data-key=${key}>${formatWeight(weight)}</b> ${own} attends to ${target}${nothing}`;
}

/** Smallest and largest weight of a map, without the cells that have none. */
export function rangeOf(map: ShownMap): { min: number; max: number } {
  const { weights, tokens } = map;
  const keys = keysOf(map);
  let [min, max] = [1, 0];
  for (let query = 0; query < tokens; query++)
    for (let key = 0; key < keys && isVisible(map, query, key); key++) {
      const weight = weights[query * keys + key] ?? 0;
      if (weight < min) min = weight;
      if (weight > max) max = weight;
    }
  return { min: Math.min(min, max), max };
}
