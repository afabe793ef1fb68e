/** What operators have at hand while a graph is compiled: constants, imagined sizes, and the plan as far as it is. */
import { AppError } from '../../../../../src/shared/app-error.ts';
import type { ExternalData } from '../../../graph/constant-floats.ts';
import type { TensorProto } from '../../../graph/onnx_pb.js';
import { Builder } from './builder.ts';
import { ConstantReader, type StoredTensor, storedTensor } from './constant-tensor.ts';
import { Known, type Stored, storedNumbers } from './known.ts';
import { damaged, unsupported } from './refusal.ts';
import { intVector, sizeOf, type Tensor } from './tensor.ts';
import type { Size, Value } from './value.ts';

export interface CompileOptions {
  /** The files with the weights, of which the small constants are read. */
  readonly externalData?: readonly ExternalData[];
  /** Positions for which tables are made where the graph computes them; 4,096 by default. */
  readonly contextLength?: number;
}

/** An attention: which inputs of the graph its caches are, and its heads. */
interface Layer {
  readonly key: number;
  readonly value: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Keys and values of more do not fit the memory of a page, and tables of more take seconds to compute. */
const mostPositions = 2 ** 17;

/** Sizes at which what should be constant is computed, to see whether it is. */
const sizes: readonly [Size, Size] = [
  { tokens: 3, past: 4 },
  { tokens: 5, past: 9 },
];

export class Compilation {
  readonly builder = new Builder();
  readonly reader: ConstantReader;
  /** Rows of the smallest table that is read by position. */
  tablePositions = Number.POSITIVE_INFINITY;
  /** Whether the graph computes a table of any length, of which `contextLength` positions were made. */
  hasComputedTables = false;
  readonly layers: Layer[] = [];
  readonly #tables: Float32Array[] = [];
  readonly #contextLength: number;
  readonly #shared = new Map<string, Known>();
  readonly #vectors = new Map<string, Float32Array>();
  #ids = 0;

  constructor({ externalData = [], contextLength = 4096 }: CompileOptions) {
    this.reader = new ConstantReader(externalData);
    this.#contextLength = Math.min(contextLength, mostPositions);
  }

  /** Positions that all tables have. */
  get positions(): number {
    return Math.min(this.tablePositions, this.#contextLength);
  }

  /** Bounds the context to what the graph can compute: constant masks and tables end somewhere. */
  limitPositions(compute: (positions: number) => unknown): void {
    const works = (positions: number) => {
      try {
        compute(positions);
        return true;
      } catch (thrown) {
        if (!(thrown instanceof AppError)) throw thrown;
        return false;
      }
    };
    let [low, high] = [0, this.positions];
    if (works(high)) return;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (works(middle)) low = middle;
      else high = middle;
    }
    if (low < 2) compute(low + 1); // throws the reason: no text fits one token
    this.tablePositions = low;
  }

  constant(tensor: TensorProto, name: string): Known {
    return this.stored({ tensor: storedTensor(tensor, name), isTransposed: false });
  }

  stored(stored: Stored): Known {
    const compute = () => {
      if (stored.isTransposed || stored.channels) throw damaged(`${stored.tensor.name} is used as what it is not`);
      return storedNumbers(stored.tensor, this.reader);
    };
    return this.known({ isConstant: true, stored, compute });
  }

  known(options: ConstructorParameters<typeof Known>[1], key?: string): Known {
    const shared = key === undefined ? undefined : this.#shared.get(key);
    if (shared) return shared;
    const known = new Known(this.#ids++, options);
    if (key !== undefined) this.#shared.set(key, known);
    return known;
  }

  shape(dims: readonly ((size: Size) => number)[]): Known {
    return this.known({ isConstant: false, compute: (size) => intVector(dims.map((dim) => dim(size))) });
  }

  /** The numbers, if they are the same at every size. */
  fixed(known: Known): Tensor | undefined {
    if (known.isConstant) return known.tensor;
    const [a, b] = sizes.map((size) => known.at(size)) as [Tensor, Tensor];
    const isSame = a.dims.join() === b.dims.join() && a.data.every((value, i) => value === b.data[i]);
    return isSame ? a : undefined;
  }

  /** The one number of a constant, or undefined when it has several or varies. */
  number(value: Value | undefined): number | undefined {
    if (value?.kind !== 'known') return undefined;
    if (value.stored && sizeOf(value.stored.tensor.dims) !== 1) return undefined;
    const tensor = this.fixed(value);
    return tensor?.data.length === 1 ? tensor.data[0] : undefined;
  }

  /** @throws AppError when it is not constant, or when `label` needs it. */
  numbers(value: Value | undefined, label: string): readonly number[] {
    const tensor = value?.kind === 'known' ? this.fixed(value) : undefined;
    if (!tensor) throw unsupported(`${label} needs constant numbers`);
    return [...tensor.data];
  }

  /** A constant of `width` numbers, the same array each time. @throws AppError when it is something else. */
  vector(value: Value, width: number, label: string): Float32Array {
    const tensor = value.kind === 'known' ? this.fixed(value) : undefined;
    if (!tensor || value.kind !== 'known') throw unsupported(`${label} needs a constant vector`);
    if (tensor.data.length !== width)
      throw unsupported(`${label} has a vector of ${tensor.data.length} numbers for ${width}`);
    return this.#keep(`${value.id}`, () => {
      if (!tensor.data.every(Number.isFinite))
        throw damaged(`${label} has a vector${nameOf(value)} of numbers that are not all finite`);
      return Float32Array.from(tensor.data);
    });
  }

  /** Constants of `width` numbers that are not a tensor of the graph as it is. */
  derived(key: string, make: () => Float32Array): Float32Array {
    return this.#keep(key, make);
  }

  /** The same array for the same numbers: layers repeat their tables. */
  shared(table: Float32Array): Float32Array {
    const twin = this.#tables.find(
      (other) => other === table || (other.length === table.length && other.every((value, i) => value === table[i])),
    );
    if (!twin) this.#tables.push(table);
    return twin ?? table;
  }

  /** @throws AppError when a cache is used twice, or layers differ in what a plan has once. */
  addLayer(layer: Layer, label: string): void {
    const [first] = this.layers;
    if (
      this.layers.some(({ key, value }) => [key, value].some((input) => input === layer.key || input === layer.value))
    )
      throw unsupported(`${label} uses a key/value cache that another one uses`);
    if (layer.key === layer.value) throw unsupported(`${label} uses one cache for keys and values`);
    if (first && (first.heads !== layer.heads || first.kvHeads !== layer.kvHeads || first.headDim !== layer.headDim))
      throw unsupported(`${label} has other heads than the layers before`);
    this.layers.push(layer);
  }

  #keep(key: string, make: () => Float32Array): Float32Array {
    const kept = this.#vectors.get(key) ?? make();
    this.#vectors.set(key, kept);
    return kept;
  }

  /** Whether a value is the numbers that `expected` gives, at sizes that tell. */
  isAlways(known: Known, expected: (size: Size) => readonly number[]): boolean {
    return [...sizes, { tokens: 1, past: 0 }, { tokens: 1, past: 11 }].every((size) => {
      const { data } = known.at(size);
      const wanted = expected(size);
      return data.length === wanted.length && data.every((number, i) => number === wanted[i]);
    });
  }
}

function nameOf({ stored }: Known): string {
  return stored ? ` (${stored.tensor.name})` : '';
}

/** A constant's dimensions without reading it, where that can be. */
export function dimsOfKnown(known: Known): readonly number[] {
  const { stored } = known;
  if (!stored) return known.tensor.dims;
  const { dims } = stored.tensor;
  return stored.isTransposed ? [...dims.slice(0, -2), dims.at(-1)!, dims.at(-2)!] : dims;
}

export function isFloatStored(tensor: StoredTensor): boolean {
  return ['float32', 'float16', 'bfloat16'].includes(tensor.type);
}
