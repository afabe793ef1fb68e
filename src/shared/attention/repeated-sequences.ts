/** Random sequences that are said twice, on which an induction head shows, and the score of maps over them. */
import { AppError } from '../app-error.ts';
import { createRandom } from '../sampling/random.ts';
import type { AttentionMap } from './attention-map.ts';
import { relatedMass, type TokenScore } from './token-relations.ts';

export interface RepeatedSequence {
  /** [position] token ids: the prefix, m random tokens, the same m again. */
  readonly tokens: readonly number[];
  /** Position of the first random token. */
  readonly start: number;
  /** m. */
  readonly period: number;
}

export interface SequenceOptions {
  /** Ids to draw from: ordinary tokens, no special ones. */
  readonly vocabulary: readonly number[];
  /** m, the length before the repeat. */
  readonly period?: number;
  readonly sequences?: number;
  readonly seed?: number;
  /** Tokens that every text begins with, such as the model's own first token. */
  readonly prefix?: readonly number[];
}

/**
 * Sequences of m distinct random tokens said twice; the same seed gives the same. Distinct, so that the token behind the
 * earlier occurrence is one position. Olsson et al. 2022, https://arxiv.org/abs/2209.11895, appendix; m = 50, 10 sequences.
 *
 * Throws `bad-input` where m is below 2 or the vocabulary holds fewer than m distinct ids.
 */
export function repeatedSequences(options: SequenceOptions): RepeatedSequence[] {
  const { period = 50, sequences = 10, seed = 0, prefix = [] } = options;
  const ids = [...new Set(options.vocabulary)].filter((id) => !prefix.includes(id));
  if (!(Number.isInteger(period) && period >= 2 && Number.isInteger(sequences) && sequences >= 1))
    throw new AppError('bad-input', `${sequences} sequences of ${period} tokens cannot be made. Use 1 of 2 or more.`);
  if (ids.length < period)
    throw new AppError(
      'bad-input',
      `${ids.length} different tokens cannot fill ${period} places. Use a shorter period.`,
    );
  const random = createRandom(seed);
  return Array.from({ length: sequences }, () => {
    // The first m steps of a Fisher-Yates shuffle.
    for (let place = 0; place < period; place++) {
      const other = place + Math.floor(random.next() * (ids.length - place));
      [ids[place], ids[other]] = [ids[other]!, ids[place]!];
    }
    const half = ids.slice(0, period);
    return { tokens: [...prefix, ...half, ...half], start: prefix.length, period };
  });
}

/**
 * The induction score of one head: mean over sequences, and over the queries of the second half, of the weight on the token
 * behind the earlier occurrence (key = query - m + 1), 0..1. Olsson et al. 2022. `maps`: one a sequence, of the whole
 * sequence, causal or bidirectional. A learned sink's mass counts as not on that key. Each sequence counts once.
 *
 * Throws `bad-input` for cross attention and for maps that are not those of the sequences.
 */
export function inductionScore(maps: readonly AttentionMap[], sequences: readonly RepeatedSequence[]): TokenScore {
  if (maps.length === 0 || maps.length !== sequences.length)
    throw new AppError(
      'bad-input',
      `${maps.length} maps are not those of ${sequences.length} sequences. Give one for each.`,
    );
  const scores = maps.map((map, index) => {
    const { tokens, start, period } = sequences[index]!;
    if (map.keys !== tokens.length || map.queries !== tokens.length)
      throw new AppError(
        'bad-input',
        `Map ${index} is not of ${tokens.length} tokens. Read the attention of the sequence.`,
      );
    return relatedMass(map, (position) => (position >= start + period ? [position - period + 1] : []));
  });
  const defined = scores.filter(({ scoredQueries }) => scoredQueries > 0);
  const mean = (pick: (score: TokenScore) => number) =>
    defined.reduce((sum, each) => sum + pick(each), 0) / defined.length;
  if (defined.length === 0) return { score: undefined, uniform: undefined, scoredQueries: 0 };
  return {
    score: mean((each) => each.score!),
    uniform: mean((each) => each.uniform!),
    scoredQueries: defined.reduce((sum, each) => sum + each.scoredQueries, 0),
  };
}
