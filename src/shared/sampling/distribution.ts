/** What a model says about the next token before anything is done to it. */
import { AppError } from '../app-error.ts';

export interface Distribution {
  /** Subtract from a logit to get its log-probability. */
  readonly logTotal: number;
  /** In nats. */
  readonly entropy: number;
}

/**
 * @param logits [vocabSize]; -Infinity is a token that cannot come
 * @throws AppError `engine-failed` when a logit is NaN or +Infinity, or when none is finite
 */
export function describeLogits(logits: Float32Array): Distribution {
  let max = -Infinity;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] as number;
    if (!(logit < Infinity)) throw notNumbers(id, logit);
    if (logit > max) max = logit;
  }
  if (max === -Infinity) throw notNumbers(0, max);
  let sum = 0;
  let weighted = 0;
  for (let id = 0; id < logits.length; id++) {
    const below = (logits[id] as number) - max;
    if (below < -60) continue; // nothing beside 1, however many there are
    const share = Math.exp(below);
    sum += share;
    weighted += share * below;
  }
  return { logTotal: max + Math.log(sum), entropy: Math.max(0, Math.log(sum) - weighted / sum) };
}

function notNumbers(id: number, logit: number): AppError {
  return new AppError(
    'engine-failed',
    `The model's output is not a number (token ${id}: ${logit}). Restart the engine; if it happens again, use WebAssembly as the device.`,
  );
}

/** Ids of the largest logits, the largest first, the lower id of two equal ones first. */
export function topIds(logits: Float32Array, wanted: number): number[] {
  const size = Math.min(wanted, logits.length);
  if (size === 0) return [];
  const best: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] as number;
    if (best.length === size && logit <= (logits[best[size - 1] as number] as number)) continue;
    let place = best.length;
    while (place > 0 && logit > (logits[best[place - 1] as number] as number)) place--;
    best.splice(place, 0, id);
    if (best.length > size) best.pop();
  }
  return best;
}
