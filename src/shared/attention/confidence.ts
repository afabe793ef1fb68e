/** How much of a row its largest key takes, and how much stays near the query. */
import { AppError } from '../app-error.ts';
import { type AttentionMap, checkMap, positionOf, requireKind, visibleKeys } from './attention-map.ts';

/**
 * Mean over queries of the largest weight of a key that is not special, 0..1; Voita et al. 2019
 * (https://arxiv.org/abs/1905.09418), who leave the end-of-sentence token out as a key.
 *
 * `isSpecial`: of the key at an index; none by default. In self attention the rows of special queries do not count either.
 * A row whose visible keys are all special does not count. Weights are taken as they are, not renormalised. A learned sink is
 * never the largest key, and its mass lowers the number. Causal, bidirectional and cross.
 *
 * Undefined where no row counts. Throws `bad-input` for what is no attention map.
 */
export function confidence(map: AttentionMap, isSpecial: (key: number) => boolean = () => false): number | undefined {
  checkMap(map);
  let sum = 0;
  let rows = 0;
  for (let query = 0; query < map.queries; query++) {
    const position = positionOf(map, query);
    if (position !== undefined && isSpecial(position)) continue;
    const { first, end } = visibleKeys(map, query);
    let largest = -1;
    for (let key = first; key < end; key++)
      if (!isSpecial(key)) largest = Math.max(largest, map.weights[query * map.keys + key]!);
    if (largest < 0) continue;
    sum += largest;
    rows++;
  }
  return rows === 0 ? undefined : sum / rows;
}

export interface Locality {
  readonly window: number;
  /** Mean over rows of the mass on keys at most `window` tokens away, 0..1. */
  readonly mass: number;
  /** The same for uniform attention over the visible keys: what `mass` is to be compared with. */
  readonly uniform: number;
}

/**
 * The mass within a window around the query: mean over rows of Σ p over |query - key| ≤ window, as a share of the mass on
 * keys; it grows with the window up to 1. The local attention of Luong et al. 2015 (https://arxiv.org/abs/1508.04025)
 * read as a measure. A learned sink has no distance, so the share is of the keys alone; a row with all its mass there does
 * not count. Causal and bidirectional.
 *
 * Throws `bad-input` for cross attention, for a window below 0, and where no row has mass on a key.
 */
export function localityOf(map: AttentionMap, windows: readonly number[]): Locality[] {
  requireKind('Locality', map.kind, ['causal', 'bidirectional']);
  checkMap(map);
  return windows.map((window) => {
    if (!(window >= 0))
      throw new AppError('bad-input', `A window of ${window} tokens holds nothing. Choose 0 or more.`);
    return localityWithin(map, window);
  });
}

function localityWithin(map: AttentionMap, window: number): Locality {
  let mass = 0;
  let uniform = 0;
  let rows = 0;
  for (let query = 0; query < map.queries; query++) {
    const position = positionOf(map, query)!;
    const { first, end } = visibleKeys(map, query);
    let near = 0;
    let total = 0;
    let nearKeys = 0;
    for (let key = first; key < end; key++) {
      const weight = map.weights[query * map.keys + key]!;
      const isNear = Math.abs(position - key) <= window;
      total += weight;
      if (isNear) near += weight;
      if (isNear) nearKeys++;
    }
    if (!(total > 0)) continue;
    mass += near / total;
    uniform += nearKeys / (end - first);
    rows++;
  }
  if (rows === 0)
    throw new AppError('bad-input', 'All mass is on the learned sink: no key is near. Choose another head.');
  return { window, mass: mass / rows, uniform: uniform / rows };
}
