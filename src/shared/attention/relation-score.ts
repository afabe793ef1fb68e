/** Whether a head attends along a relation, beside what the distances alone would give it. */
import { AppError } from '../app-error.ts';
import { createRandom } from '../sampling/random.ts';
import { type AttentionMap, checkMap, positionOf, requireKind, visibleKeys } from './attention-map.ts';

export interface RelationScore {
  /** Mean weight of the related pairs, 0..1. */
  readonly score: number;
  /** Mean over the same pairs of the mean weight at the same distance elsewhere in the map. */
  readonly baseline: number;
  /** score - baseline, -1..1. */
  readonly difference: number;
  /** Percentile bootstrap over queries of the difference, 95 %. */
  readonly interval: readonly [low: number, high: number];
  readonly pairs: number;
  /** Pairs left out: nothing else stands at their distance, or the map masks them. */
  readonly unmatched: number;
}

export interface RelationOptions {
  readonly resamples?: number;
  readonly seed?: number;
}

interface Matched {
  readonly query: number;
  readonly weight: number;
  readonly baseline: number;
}

/**
 * The score of a head against a relation: a list of pairs [query, key], as rows and columns of the map. Each pair is compared
 * with all pairs of the same signed distance that are not in the relation, so that a head that looks a fixed number of tokens
 * back scores 0. E. Voita et al. 2019 (https://arxiv.org/abs/1905.09418) compare syntactic heads with the best fixed offset;
 * the interval is B. Efron 1979's bootstrap (https://doi.org/10.1214/aos/1176344552) by percentile, seeded, drawing queries with
 * all their pairs, because pairs of one query share a row.
 *
 * A learned sink is no key: its mass is not on the relation and lowers both sides. Causal and bidirectional.
 *
 * Throws `bad-input` for cross attention, pairs outside the map or named twice, and where no pair has a match.
 */
export function scoreRelation(
  map: AttentionMap,
  pairs: readonly (readonly [query: number, key: number])[],
  { resamples = 2000, seed = 0 }: RelationOptions = {},
): RelationScore {
  requireKind('A relation with matched distances', map.kind, ['causal', 'bidirectional']);
  checkMap(map);
  const matched = matchPairs(map, pairs);
  if (matched.length === 0) refuse('No pair can be compared with others at its distance.');
  const mean = (pick: (pair: Matched) => number) => matched.reduce((sum, pair) => sum + pick(pair), 0) / matched.length;
  const [score, baseline] = [mean(({ weight }) => weight), mean((pair) => pair.baseline)];
  return {
    score,
    baseline,
    difference: score - baseline,
    interval: bootstrap(matched, resamples, seed),
    pairs: matched.length,
    unmatched: pairs.length - matched.length,
  };
}

function matchPairs(map: AttentionMap, pairs: readonly (readonly [number, number])[]): Matched[] {
  const related = new Set<number>();
  for (const [query, key] of pairs) {
    const isInside =
      [query, key].every(Number.isInteger) && query >= 0 && key >= 0 && query < map.queries && key < map.keys;
    if (!isInside) refuse(`The pair ${query}, ${key} is outside the map.`);
    if (related.has(query * map.keys + key)) refuse(`The pair ${query}, ${key} is named twice.`);
    related.add(query * map.keys + key);
  }
  const elsewhere = new Map<number, number | undefined>();
  return pairs.flatMap(([query, key]) => {
    const distance = positionOf(map, query)! - key;
    if (!elsewhere.has(distance)) elsewhere.set(distance, meanAt(map, distance, related));
    const baseline = elsewhere.get(distance);
    const { first, end } = visibleKeys(map, query);
    if (baseline === undefined || key < first || key >= end) return [];
    return [{ query, weight: map.weights[query * map.keys + key]!, baseline }];
  });
}

/** The mean weight of unrelated visible pairs at a distance; undefined where there are none. */
function meanAt(map: AttentionMap, distance: number, related: ReadonlySet<number>): number | undefined {
  let sum = 0;
  let count = 0;
  for (let query = 0; query < map.queries; query++) {
    const key = positionOf(map, query)! - distance;
    const { first, end } = visibleKeys(map, query);
    if (key < first || key >= end || related.has(query * map.keys + key)) continue;
    sum += map.weights[query * map.keys + key]!;
    count++;
  }
  return count === 0 ? undefined : sum / count;
}

function bootstrap(matched: readonly Matched[], resamples: number, seed: number): [number, number] {
  if (!(Number.isInteger(resamples) && resamples >= 100))
    refuse(`${resamples} resamples give no interval: use 100 or more.`);
  const rows = new Map<number, { sum: number; count: number }>();
  for (const { query, weight, baseline } of matched) {
    const { sum, count } = rows.get(query) ?? { sum: 0, count: 0 };
    rows.set(query, { sum: sum + weight - baseline, count: count + 1 });
  }
  const clusters = [...rows.values()];
  const random = createRandom(seed);
  const means = Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    let count = 0;
    for (let draw = 0; draw < clusters.length; draw++) {
      const cluster = clusters[Math.floor(random.next() * clusters.length)]!;
      sum += cluster.sum;
      count += cluster.count;
    }
    return sum / count;
  }).sort();
  return [quantile(means, 0.025), quantile(means, 0.975)];
}

/** Of sorted numbers, linear between neighbours (Hyndman and Fan 1996, type 7). */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const [low, high] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!];
  return low + (high - low) * (place - below);
}

function refuse(cause: string): never {
  throw new AppError('bad-input', `${cause} Choose pairs of query and key inside this text.`);
}
