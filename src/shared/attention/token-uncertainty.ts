/** How surprising each token was, and how undecided the model before it. */
import { AppError } from '../app-error.ts';
import { entropyBits, logSoftmax } from './distributions.ts';

export interface TokenUncertainty {
  /** -log2 p(token | tokens before it), bits, 0..∞. Undefined for the first token, which nothing predicts. */
  readonly surprisalBits: number | undefined;
  /** -Σ p log2 p of the prediction that stood before the token, bits, 0..log2(vocabulary). Undefined likewise. */
  readonly entropyBits: number | undefined;
}

/**
 * Surprisal and predictive entropy of the token behind a row of logits; float [vocabulary] at temperature 1, before any
 * sampling filter. Shannon 1948, https://doi.org/10.1002/j.1538-7305.1948.tb01338.x; R. Levy 2008,
 * https://doi.org/10.1016/j.cognition.2007.05.006.
 *
 * Throws `bad-input` for logits that are NaN or +∞, and a token outside the vocabulary.
 */
export function uncertaintyOf(logits: ArrayLike<number>, token: number): Required<TokenUncertainty> {
  const logs = logSoftmax(logits);
  const log = logs[token];
  if (log === undefined)
    throw new AppError('bad-input', `Token ${token} is none of ${logits.length}. Use the tokens of this model.`);
  return { surprisalBits: Math.max(0, -log / Math.LN2), entropyBits: entropyBits(logs) };
}

/** The same for a text. `rowOf`: logits behind a position, one row in memory at a time. Causal decoders. */
export function uncertaintyOfText(
  tokens: readonly number[],
  rowOf: (position: number) => ArrayLike<number>,
): TokenUncertainty[] {
  return tokens.map((token, position) =>
    position === 0 ? { surprisalBits: undefined, entropyBits: undefined } : uncertaintyOf(rowOf(position - 1), token),
  );
}
