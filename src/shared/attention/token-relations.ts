/** Which keys stand in a relation to each query, by position or by equal tokens, and the mean weight on them. */
import { AppError } from '../app-error.ts';
import { type AttentionMap, checkMap, positionOf, requireKind, visibleKeys } from './attention-map.ts';

/** The keys that belong to the query at a position; none where the relation says nothing about it. */
export type Relation = (position: number) => readonly number[];

const previousToken: Relation = (position) => (position > 0 ? [position - 1] : []);
const sameToken: Relation = (position) => [position];

/** Earlier positions that hold the same token. `tokens`: [position] token ids. */
export function earlierDuplicates(tokens: readonly number[]): Relation {
  const earlier = earlierEqual(tokens);
  return (position) => earlier[position] ?? [];
}

/**
 * Positions right behind earlier occurrences of the query's token: where an induction head looks (Olsson et al. 2022). The
 * query itself, where its token stood right before it, is none of them.
 */
export function prefixMatches(tokens: readonly number[]): Relation {
  const earlier = earlierEqual(tokens);
  return (position) => (earlier[position] ?? []).map((key) => key + 1).filter((key) => key < position);
}

function earlierEqual(tokens: readonly number[]): readonly (readonly number[])[] {
  const seen = new Map<number, number[]>();
  return tokens.map((token, position) => {
    const earlier = seen.get(token) ?? [];
    seen.set(token, [...earlier, position]);
    return earlier;
  });
}

export interface TokenScore {
  /** Mean over scored queries of the mass on the related keys, 0..1; undefined where no query is scored. */
  readonly score: number | undefined;
  /** The same for uniform attention over the visible keys. */
  readonly uniform: number | undefined;
  readonly scoredQueries: number;
}

/**
 * The mean mass that queries put on the keys related to them; queries without a visible related key do not count. Several
 * related keys of one query are summed. A learned sink is no key: its mass counts as not on the relation. Causal and
 * bidirectional. O(queries · related keys).
 *
 * Throws `bad-input` for cross attention, whose keys are another text's tokens.
 */
export function relatedMass(map: AttentionMap, relation: Relation): TokenScore {
  requireKind('A score by position', map.kind, ['causal', 'bidirectional']);
  checkMap(map);
  let sum = 0;
  let chance = 0;
  let scoredQueries = 0;
  for (let query = 0; query < map.queries; query++) {
    const { first, end } = visibleKeys(map, query);
    const keys = relation(positionOf(map, query)!).filter((key) => key >= first && key < end);
    if (keys.length === 0) continue;
    for (const key of keys) sum += map.weights[query * map.keys + key]!;
    chance += keys.length / (end - first);
    scoredQueries++;
  }
  if (scoredQueries === 0) return { score: undefined, uniform: undefined, scoredQueries };
  return { score: sum / scoredQueries, uniform: chance / scoredQueries, scoredQueries };
}

/**
 * Mean weight on the token right before, 0..1. Clark et al. 2019, https://arxiv.org/abs/1906.04341; Elhage et al. 2021,
 * https://transformer-circuits.pub/2021/framework. Causal and bidirectional; the first token does not count.
 */
export function previousTokenScore(map: AttentionMap): TokenScore {
  return relatedMass(map, previousToken);
}

/** Mean weight on the query itself, 0..1. Clark et al. 2019. Causal and bidirectional. */
export function selfScore(map: AttentionMap): TokenScore {
  return relatedMass(map, sameToken);
}

/**
 * Mean mass on earlier occurrences of the query's own token, itself left out, 0..1. Wang et al. 2023
 * (https://arxiv.org/abs/2211.00593). Causal and bidirectional. `tokens`: [key] token ids.
 */
export function duplicateTokenScore(map: AttentionMap, tokens: readonly number[]): TokenScore {
  return relatedMass(map, earlierDuplicates(tokensOf(map, tokens)));
}

/**
 * The prefix-matching score in a text as it is: mean mass on the tokens right behind earlier occurrences of the query's
 * token, 0..1. Olsson et al. 2022, https://arxiv.org/abs/2209.11895, measure it on repeated random tokens; in a real text a
 * repeated phrase makes it hard to tell from other heads, so no label rests on it. Causal and bidirectional.
 */
export function prefixMatchingScore(map: AttentionMap, tokens: readonly number[]): TokenScore {
  return relatedMass(map, prefixMatches(tokensOf(map, tokens)));
}

function tokensOf(map: AttentionMap, tokens: readonly number[]): readonly number[] {
  if (tokens.length === map.keys) return tokens;
  const message = `There are ${tokens.length} tokens for ${map.keys} keys. Give the tokens of the same text.`;
  throw new AppError('bad-input', message);
}
