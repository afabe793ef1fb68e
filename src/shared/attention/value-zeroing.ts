/** Value zeroing: how far each token's output turns when the value of one other token is taken away. */
import { AppError, throwIfAborted } from '../app-error.ts';
import { cosineDistance } from './distributions.ts';

export interface ValueZeroing {
  readonly tokens: number;
  /** [token, zeroed token] cosine distance of the token's outputs, 0..2, before the rows are normalised. */
  readonly distances: Float64Array<ArrayBuffer>;
  /** [token, zeroed token] rows that sum to 1; a row where nothing changed is all 0, not uniform. */
  readonly scores: Float64Array<ArrayBuffer>;
}

/** Outputs [token, width] of a layer, or of the model, with the values of one token at 0 in all heads; `undefined`: untouched. */
export type RunWithZeroedValue = (zeroed: number | undefined, signal?: AbortSignal) => Promise<ArrayLike<number>>;

/** One run a token, each of the whole text: more is minutes in a webview. */
const valueZeroingLimit = 256;

/**
 * H. Mohebbi et al. 2023, https://arxiv.org/abs/2301.12971: C_ij = cos-distance(x̃_i with v_j = 0, x̃_i), each row divided
 * by its sum. The attention weights stay as they are; a learned sink keeps its mass, having no value to zero. Works for
 * whatever the callback runs: one layer, as in the paper, or all. n + 1 runs, O(n²) memory. Self attention, causal (columns
 * after the row are 0) or bidirectional.
 *
 * Throws `bad-input` above 256 tokens or where an output is not [token, width]; `cancelled` when the signal fires.
 */
export async function valueZeroing(
  tokens: number,
  run: RunWithZeroedValue,
  { signal, progress }: { readonly signal?: AbortSignal; readonly progress?: (done: number) => void } = {},
): Promise<ValueZeroing> {
  if (!(Number.isInteger(tokens) && tokens > 0 && tokens <= valueZeroingLimit))
    refuse(`Value zeroing runs the model once a token, and ${tokens} are not between 1 and ${valueZeroingLimit}.`);
  const untouched = Float64Array.from(await run(undefined, signal));
  const width = untouched.length / tokens;
  if (!(Number.isInteger(width) && width > 0))
    refuse(`${untouched.length} numbers are no outputs of ${tokens} tokens.`);
  const distances = new Float64Array(tokens * tokens);
  for (let zeroed = 0; zeroed < tokens; zeroed++) {
    throwIfAborted(signal);
    const outputs = Float64Array.from(await run(zeroed, signal));
    if (outputs.length !== untouched.length) refuse(`A run gave ${outputs.length} numbers, not ${untouched.length}.`);
    for (let token = 0; token < tokens; token++) {
      const [start, end] = [token * width, (token + 1) * width];
      distances[token * tokens + zeroed] = cosineDistance(untouched.subarray(start, end), outputs.subarray(start, end));
    }
    progress?.(zeroed + 1);
  }
  throwIfAborted(signal);
  return { tokens, distances, scores: normaliseRows(distances, tokens) };
}

function normaliseRows(distances: Float64Array, tokens: number): Float64Array<ArrayBuffer> {
  const scores = Float64Array.from(distances);
  for (let token = 0; token < tokens; token++) {
    const row = scores.subarray(token * tokens, (token + 1) * tokens);
    const sum = row.reduce((total, distance) => total + distance, 0);
    if (sum > 0) for (let key = 0; key < tokens; key++) row[key]! /= sum;
  }
  return scores;
}

function refuse(cause: string): never {
  throw new AppError('bad-input', `${cause} Choose a shorter part of the text.`);
}
