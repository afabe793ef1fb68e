/** How long the vector is that a key adds to a query through one head: the weight times the value behind it. */
import { AppError } from '../app-error.ts';
import { type AttentionMap, checkMap, visibleKeys } from './attention-map.ts';

/**
 * G = W_O W_Oᵀ of one head: [headDim, headDim], symmetric. Computed once a head, so that ‖v W_O‖ = √(v G vᵀ) costs
 * O(headDim²) instead of O(headDim · width). `output`: [headDim, width] the head's rows of the output projection, in the
 * order y = v W_O.
 *
 * Throws `bad-input` where the length is no multiple of headDim.
 */
export function outputGram(output: ArrayLike<number>, headDim: number): Float64Array<ArrayBuffer> {
  const width = output.length / headDim;
  if (!(Number.isInteger(headDim) && headDim > 0 && Number.isInteger(width) && width > 0))
    refuse(`${output.length} numbers are no output projection of a head of ${headDim}.`);
  const gram = new Float64Array(headDim * headDim);
  for (let row = 0; row < headDim; row++)
    for (let column = 0; column <= row; column++) {
      let sum = 0;
      for (let index = 0; index < width; index++) sum += output[row * width + index]! * output[column * width + index]!;
      gram[row * headDim + column] = sum;
      gram[column * headDim + row] = sum;
    }
  return gram;
}

/**
 * ‖f(x_j)‖ = ‖v_j W_O‖ of each key, [key], in units of the residual stream. `values`: [key, headDim] as the head reads them:
 * after W_V and its bias; with grouped keys (GQA) those of the query head's group.
 */
export function transformedNorms(values: ArrayLike<number>, gram: ArrayLike<number>): Float64Array<ArrayBuffer> {
  const headDim = Math.sqrt(gram.length);
  const keys = values.length / headDim;
  if (!(Number.isInteger(headDim) && headDim > 0 && Number.isInteger(keys)))
    refuse(`${values.length} numbers are no values of a head with a Gram matrix of ${gram.length}.`);
  return Float64Array.from({ length: keys }, (_, key) => {
    let square = 0;
    for (let row = 0; row < headDim; row++) {
      let sum = 0;
      for (let column = 0; column < headDim; column++)
        sum += gram[row * headDim + column]! * values[key * headDim + column]!;
      square += sum * values[key * headDim + row]!;
    }
    // Rounding can leave a vector of length 0 a little below.
    return Math.sqrt(Math.max(0, square));
  });
}

/**
 * Norm-based contributions of one head, [query, key]: ‖α_ij f(x_j)‖ = α_ij √(v_j G v_jᵀ), 0 where masked, in units of the
 * residual stream. G. Kobayashi et al. 2020, https://arxiv.org/abs/2004.10102. Causal, bidirectional and cross.
 *
 * A learned sink has no value vector and adds nothing; its mass lowers the weights of the keys. The bias of the output
 * projection belongs to no key and is left out. Lengths say nothing of direction: two long vectors may cancel.
 *
 * Throws `bad-input` where the norms are not one a key.
 */
export function normContributions(map: AttentionMap, norms: ArrayLike<number>): Float64Array<ArrayBuffer> {
  checkMap(map);
  if (norms.length !== map.keys) refuse(`${norms.length} norms are not those of ${map.keys} keys.`);
  const contributions = new Float64Array(map.queries * map.keys);
  for (let query = 0; query < map.queries; query++) {
    const { first, end } = visibleKeys(map, query);
    for (let key = first; key < end; key++) {
      const index = query * map.keys + key;
      contributions[index] = map.weights[index]! * norms[key]!;
    }
  }
  return contributions;
}

function refuse(cause: string): never {
  throw new AppError('bad-input', `${cause} Read weights and values of the same head and text.`);
}
