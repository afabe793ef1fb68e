/**
 * Values that depend on no token: constants, shapes, positions, masks. They stay a graph of their own and are computed
 * when a number of theirs is asked for, for the sizes imagined then.
 */
import type { ConstantReader, StoredTensor } from './constant-tensor.ts';
import { kindOfType } from './constant-tensor.ts';
import type { Tensor } from './tensor.ts';
import type { Size } from './value.ts';

/** A constant matrix as it lies in the file. */
export interface Stored {
  readonly tensor: StoredTensor;
  /** The value is the transpose of the last two dimensions of `tensor`. */
  readonly isTransposed: boolean;
  /** The value is (q - zeroPoint) * scale, with one of both, or one for each index of `axis` of the value. */
  readonly channels?: { readonly scales: Float32Array; readonly zeroPoints: Float32Array; readonly axis: number };
}

/** Sizes whose results are kept: tables are computed in many chunks. */
const mostResults = 8;

interface KnownOptions {
  readonly isConstant: boolean;
  readonly compute: (size: Size) => Tensor;
  readonly stored?: Stored | undefined;
}

export class Known {
  readonly kind = 'known';
  readonly id: number;
  /** The same at every size. */
  readonly isConstant: boolean;
  readonly stored: Stored | undefined;
  readonly #compute: (size: Size) => Tensor;
  readonly #results = new Map<string, Tensor>();

  constructor(id: number, { isConstant, compute, stored }: KnownOptions) {
    this.id = id;
    this.isConstant = isConstant;
    this.stored = stored;
    this.#compute = compute;
  }

  /** @throws AppError when it cannot be computed, or not at that size. */
  at(size: Size): Tensor {
    const key = this.isConstant ? '' : `${size.tokens},${size.past}`;
    let result = this.#results.get(key);
    if (!result) {
      result = this.#compute(size);
      if (this.#results.size >= mostResults) this.#results.delete(this.#results.keys().next().value!);
      this.#results.set(key, result);
    }
    return result;
  }

  /** Of a constant. */
  get tensor(): Tensor {
    return this.at({ tokens: 1, past: 0 });
  }
}

export function storedNumbers(tensor: StoredTensor, reader: ConstantReader): Tensor {
  return { kind: kindOfType(tensor.type), dims: tensor.dims, data: Float64Array.from(reader.numbers(tensor)) };
}
