/** One head's attention as the metrics read it: kind, visible keys of each query, and the mass on a learned sink. */
import { AppError } from '../app-error.ts';

/** `causal`: a query sees no later key. `bidirectional`: it sees all. `cross`: the keys are another text's tokens. */
export type AttentionKind = 'causal' | 'bidirectional' | 'cross';

export interface AttentionMap {
  readonly kind: AttentionKind;
  readonly queries: number;
  /** Tokens; a learned sink is none of them. */
  readonly keys: number;
  /** [query, key], 0..1; masked keys hold 0. A row sums to 1 less the mass on the learned sink. */
  readonly weights: ArrayLike<number>;
  /** [query] mass on the head's learned sink (gpt-oss), absent where the head has none. */
  readonly sinks?: ArrayLike<number>;
  /** Of a causal map: how many keys a query sees at most, itself included. */
  readonly window?: number;
}

/**
 * The key that stands at the position of a query. With a cache, the queries of a causal map are the last tokens of its
 * keys. A query of a cross map stands at none: undefined.
 */
export function positionOf(map: AttentionMap, query: number): number | undefined {
  if (map.kind === 'cross') return undefined;
  return map.keys - map.queries + query;
}

/** The keys [first, end) that are not masked. */
export function visibleKeys(map: AttentionMap, query: number): { first: number; end: number } {
  if (map.kind !== 'causal') return { first: 0, end: map.keys };
  const end = map.keys - map.queries + query + 1;
  return { first: Math.max(0, end - (map.window ?? end)), end };
}

/** The weights of the visible keys of a query. */
export function rowOf(map: AttentionMap, query: number): ArrayLike<number> & Iterable<number> {
  const { first, end } = visibleKeys(map, query);
  return Float64Array.from({ length: end - first }, (_, index) => map.weights[query * map.keys + first + index]!);
}

/** Throws `bad-input` where sizes, weights or masks cannot be those of an attention map. */
export function checkMap(map: AttentionMap): void {
  const { kind, queries, keys, weights, sinks, window } = map;
  const refuse = (cause: string) => {
    throw new AppError('bad-input', `This is no attention map: ${cause}. Read the attention of this head again.`);
  };
  if (!(Number.isInteger(queries) && Number.isInteger(keys) && queries > 0 && keys > 0))
    refuse(`it has ${queries} queries and ${keys} keys`);
  if (weights.length !== queries * keys)
    refuse(`it has ${weights.length} weights for ${queries} queries and ${keys} keys`);
  if (sinks && sinks.length !== queries) refuse(`it has ${sinks.length} sink masses for ${queries} queries`);
  if (kind === 'bidirectional' && queries !== keys) refuse(`${queries} queries cannot be the ${keys} keys`);
  if (kind === 'causal' && queries > keys) refuse(`${queries} queries cannot be the last of ${keys} keys`);
  if (window !== undefined && !(kind === 'causal' && Number.isInteger(window) && window > 0))
    refuse(`a window of ${window} keys does not fit a ${kind} map`);
  for (let query = 0; query < queries; query++) checkRow(map, query, refuse);
}

/** Float16 graphs and sums of float32 leave a row this far from 1. */
const tolerance = 5e-3;

function checkRow(map: AttentionMap, query: number, refuse: (cause: string) => void): void {
  const { first, end } = visibleKeys(map, query);
  let total = map.sinks?.[query] ?? 0;
  if (!(total >= 0)) refuse(`the sink mass of query ${query} is ${total}`);
  for (let key = 0; key < map.keys; key++) {
    const weight = map.weights[query * map.keys + key]!;
    if (!(weight >= 0)) refuse(`the weight of query ${query} and key ${key} is ${weight}`);
    if (weight > 0 && (key < first || key >= end)) refuse(`query ${query} has weight on the masked key ${key}`);
    total += weight;
  }
  if (Math.abs(total - 1) > tolerance) refuse(`the weights of query ${query} sum to ${total}`);
}

/** Throws `bad-input` unless the metric is defined for the map's kind. */
export function requireKind(metric: string, kind: AttentionKind, kinds: readonly AttentionKind[]): void {
  if (kinds.includes(kind)) return;
  const message = `${metric} is not defined for ${kind} attention, only for ${kinds.join(' and ')}. Choose another head.`;
  throw new AppError('bad-input', message);
}
