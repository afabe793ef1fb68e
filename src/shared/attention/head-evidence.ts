/** What a head does on synthetic sequences: how much, and how regularly, it attends along each simple relation. */
import { type AttentionMap, visibleKeys } from './attention-map.ts';
import { earlierDuplicates, prefixMatches } from './token-relations.ts';

export type RelationName = 'previous-token' | 'self' | 'duplicate-token' | 'induction' | 'sink';
export const relationNames = ['previous-token', 'self', 'duplicate-token', 'induction', 'sink'] as const;

/** Of one relation, pooled over sequences, on queries at which no other relation names the same keys. */
export interface Evidence {
  /** Mean mass on the related keys, 0..1. */
  readonly mass: number;
  /** Share of queries whose largest weight is on a related key and above uniform, 0..1. */
  readonly rate: number;
  readonly queries: number;
}

export interface SyntheticText {
  /** [position] token ids. */
  readonly tokens: readonly number[];
}

/** What of a sequence counts for each relation: [query, related keys]; made once, because many heads are read with it. */
export type RelationPlan = Readonly<
  Record<RelationName, readonly (readonly [query: number, keys: readonly number[]])[]>
>;

/** The first queries see so few keys that any head puts much on each of them. */
const firstQuery = 4;

/**
 * The queries at which each relation can be told from the others. `self` takes queries whose token stood before only: there it
 * differs from attending to equal tokens.
 */
export function planRelations({ tokens }: SyntheticText): RelationPlan {
  const duplicates = earlierDuplicates(tokens);
  const matches = prefixMatches(tokens);
  const plan: Record<RelationName, [number, readonly number[]][]> = {
    'previous-token': [],
    self: [],
    'duplicate-token': [],
    induction: [],
    sink: [],
  };
  for (let query = firstQuery; query < tokens.length; query++) {
    const keys: Record<RelationName, readonly number[]> = {
      'previous-token': [query - 1],
      self: [query],
      'duplicate-token': duplicates(query),
      induction: matches(query),
      sink: [0],
    };
    const all = relationNames.flatMap((name) => keys[name]);
    for (const name of relationNames) {
      const isClean = keys[name].every((key) => all.indexOf(key) === all.lastIndexOf(key));
      const isTold = name !== 'self' || keys['duplicate-token'].length > 0;
      if (keys[name].length > 0 && isClean && isTold) plan[name].push([query, keys[name]]);
    }
  }
  return plan;
}

/** Equal weights, as those of equal tokens, are both the largest. */
const tieShare = 0.99;

/**
 * Evidence for each relation in one head's maps, one map and plan a sequence; square causal or bidirectional maps. A learned
 * sink competes: where it holds more than the related key, that key is not the largest.
 */
export function evidenceOf(
  maps: readonly AttentionMap[],
  plans: readonly RelationPlan[],
): Record<RelationName, Evidence> {
  const largest = maps.map((map) => Array.from({ length: map.queries }, (_, query) => largestOf(map, query)));
  const entries = relationNames.map((name) => {
    let mass = 0;
    let hits = 0;
    let queries = 0;
    maps.forEach((map, index) => {
      for (const [query, keys] of plans[index]![name]) {
        const { first, end } = visibleKeys(map, query);
        const weights = keys.map((key) => map.weights[query * map.keys + key]!);
        const top = Math.max(...weights);
        for (const weight of weights) mass += weight;
        if (top >= tieShare * largest[index]![query]! && top * (end - first) > aboveUniform) hits++;
        queries++;
      }
    });
    return [name, { mass: queries ? mass / queries : 0, rate: queries ? hits / queries : 0, queries }] as const;
  });
  return Object.fromEntries(entries) as Record<RelationName, Evidence>;
}

/** In a uniform row every key is the largest; a related one has to stand out. */
const aboveUniform = 1.5;

function largestOf(map: AttentionMap, query: number): number {
  const { first, end } = visibleKeys(map, query);
  let largest = map.sinks?.[query] ?? 0;
  for (let key = first; key < end; key++) largest = Math.max(largest, map.weights[query * map.keys + key]!);
  return largest;
}
