/** What a model says about the next token before anything is done to it. */
import { AppError } from '../app-error.ts';
import { largest, limitOfTop, placesAtLeast, sumExps } from './passes.ts';

export interface Distribution {
  /** The largest logit. */
  readonly max: number;
  /** Subtract from a logit to get its log-probability. */
  readonly logTotal: number;
  /** In nats. */
  readonly entropy: number;
  /** Some logits are -Infinity: tokens that cannot come. */
  readonly hasImpossible: boolean;
}

/**
 * @param logits [vocabSize]; -Infinity is a token that cannot come
 * @throws AppError `engine-failed` when a logit is NaN or +Infinity, or when none is finite
 */
export function describeLogits(logits: Float32Array): Distribution {
  const max = largest(logits, logits.length);
  if (!(max < Infinity && max > -Infinity)) throw notNumbers(logits);
  const { sum, weighted } = sumExps(logits, logits.length, max);
  return distributionOf({ max, sum, weighted, hasImpossible: logits.includes(-Infinity) });
}

export interface LogitSums {
  /** The largest logit. */
  readonly max: number;
  /** Of exp(logit - max). */
  readonly sum: number;
  /** Of exp(logit - max) (logit - max). */
  readonly weighted: number;
  readonly hasImpossible: boolean;
}

export function distributionOf({ max, sum, weighted, hasImpossible }: LogitSums): Distribution {
  const logSum = Math.log(sum);
  return { max, logTotal: max + logSum, entropy: Math.max(0, logSum - weighted / sum), hasImpossible };
}

function notNumbers(logits: Float32Array): AppError {
  const found = logits.findIndex((logit) => !(logit < Infinity));
  const id = Math.max(0, found);
  return new AppError(
    'engine-failed',
    `The model's output is not a number (token ${id}: ${logits[id]}). Restart the engine; if it happens again, use WebAssembly as the device.`,
  );
}

/** Ids of the largest logits, the largest first, the lower id of two equal ones first. */
export function topIds(logits: Float32Array, wanted: number): number[] {
  const size = Math.min(wanted, logits.length);
  if (size === 0) return [];
  const { least } = limitOfTop(logits, logits.length, size);
  return placesAtLeast(logits, logits.length, least)
    .sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b)
    .slice(0, size);
}
