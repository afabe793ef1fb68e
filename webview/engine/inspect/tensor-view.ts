/** Reads a tensor of a run by what its axes count, whatever their order, merging and broadcasting. */
import { AppError } from '../../../src/shared/app-error.ts';
import type { Axis, AxisPart, AxisRole } from '../graph/attention-site.ts';
import { halfToFloat } from '../graph/half.ts';

export interface FetchedTensor {
  /** Numbers as ONNX Runtime gives them: float16 as Float16Array or as bits in a Uint16Array. */
  readonly data: ArrayLike<number> | BigInt64Array | BigUint64Array;
  readonly dims: readonly number[];
  /** As ONNX Runtime names it: float32, float16, int64, bool ... */
  readonly type: string;
}

/** Sizes of a run, by role and level. */
export class RoleSizes {
  readonly #sizes = new Map<string, number>();
  /** Axes with several parts of which more than one is not known yet. */
  #open: { readonly axis: Axis; readonly dim: number }[] = [];

  /** Learns from a tensor. An axis of 1 may be one that broadcasts: it tells nothing. */
  learn(axes: readonly Axis[], dims: readonly number[]): void {
    for (const [i, axis] of aligned(axes, dims).entries())
      if (dims[i] !== 1 && axis.parts.length > 0) this.#open.push({ axis, dim: dims[i]! });
    this.#settle(1);
  }

  /** Levels that no tensor tells apart are one. */
  close(): void {
    this.#settle(Number.POSITIVE_INFINITY);
  }

  #settle(maxOpen: number): void {
    for (let before = -1; this.#open.length !== before; ) {
      before = this.#open.length;
      this.#open = this.#open.filter(({ axis, dim }) => !this.#learnAxis(axis, dim, maxOpen));
    }
  }

  #learnAxis(axis: Axis, dim: number, maxOpen: number): boolean {
    const open = axis.parts.filter(
      (part) => part.size === undefined && !(axis.parts.length > 1 && this.#sizes.has(keyOf(part))),
    );
    if (open.length > maxOpen) return false;
    for (const [part, size] of partSizes(axis, dim, this)) {
      const key = keyOf(part);
      this.#sizes.set(key, Math.max(this.#sizes.get(key) ?? 0, size));
    }
    return true;
  }

  has(part: AxisPart): boolean {
    return this.#sizes.has(keyOf(part));
  }

  /** 1 for what no tensor has. */
  of(role: AxisRole, level = 0): number {
    return this.#sizes.get(`${role}${level}`) ?? 1;
  }

  levels(role: AxisRole): number[] {
    const levels: number[] = [];
    for (const key of this.#sizes.keys()) if (key.startsWith(role)) levels.push(Number(key.slice(role.length)));
    return levels.sort((a, b) => a - b);
  }

  /** Of all levels together. */
  total(role: AxisRole): number {
    return this.levels(role).reduce((product, level) => product * this.of(role, level), 1);
  }

  /** What a number counted over all levels is at each of them. */
  split(role: AxisRole, index: number): Map<number, number> {
    const at = new Map<number, number>();
    let rest = index;
    for (const level of this.levels(role).reverse()) {
      const size = this.of(role, level);
      at.set(level, rest % size);
      rest = Math.floor(rest / size);
    }
    return at;
  }
}

/** Where a tensor's numbers lie: each role has a step; roles that the tensor lacks, or broadcasts, have none. */
export class TensorView {
  readonly data: Float32Array;
  /** Of the last axis, whatever it counts. */
  readonly lastSize: number;
  readonly #start: number;
  readonly #steps: ReadonlyMap<string, { readonly step: number; readonly size: number }>;

  constructor(tensor: FetchedTensor, axes: readonly Axis[], sizes: RoleSizes) {
    this.data = floatsOf(tensor);
    this.lastSize = tensor.dims.at(-1) ?? 1;
    const strides = stridesOf(tensor.dims);
    const steps = new Map<string, { step: number; size: number }>();
    let start = 0;
    for (const [i, axis] of aligned(axes, tensor.dims).entries()) {
      const stride = strides[i]!;
      start += (axis.offset ?? 0) * stride;
      if (tensor.dims[i] === 1) continue;
      let inner = stride;
      for (const [part, size] of partSizes(axis, tensor.dims[i]!, sizes).reverse()) {
        if (part.role === 'pick') start += (part.index ?? 0) * inner;
        else if (size > 1) steps.set(keyOf(part), { step: inner, size });
        inner *= size;
      }
    }
    this.#start = start;
    this.#steps = steps;
  }

  /** How far apart the numbers of a role are; 0 where all are the same one. */
  step(role: AxisRole): number {
    return this.#steps.get(`${role}0`)?.step ?? 0;
  }

  size(role: AxisRole, level = 0): number {
    return this.#steps.get(`${role}${level}`)?.size ?? 1;
  }

  /** Place of the first number for a batch entry and a head, counted over all their levels. */
  start(sizes: RoleSizes, batch: number, head: number): number {
    return this.#start + this.#at(sizes, 'batch', batch) + this.#at(sizes, 'head', head);
  }

  /** Of the heads that the tensor itself has, one after the other. */
  ownHead(sizes: RoleSizes, head: number): number {
    let own = 0;
    for (const [level, index] of sizes.split('head', head)) {
      const size = this.size('head', level);
      own = own * size + Math.floor((index * size) / sizes.of('head', level));
    }
    return own;
  }

  #at(sizes: RoleSizes, role: 'batch' | 'head', index: number): number {
    let place = 0;
    for (const [level, at] of sizes.split(role, index)) {
      const found = this.#steps.get(`${role}${level}`);
      // Fewer than the queries have: each serves as many in a row.
      if (found) place += found.step * Math.floor((at * found.size) / sizes.of(role, level));
    }
    return place;
  }
}

function keyOf({ role, level = 0 }: AxisPart): string {
  return `${role}${level}`;
}

/** Axes for a tensor of another rank than was foreseen: broadcasting aligns to the right. */
function aligned(axes: readonly Axis[], dims: readonly number[]): Axis[] {
  const missing = dims.length - axes.length;
  if (missing <= 0) return axes.slice(-missing);
  return [...Array.from({ length: missing }, () => ({ parts: [] })), ...axes];
}

/** How long each part is: as the site says, as other tensors tell, and the first open one what is left. */
function partSizes(axis: Axis, dim: number, sizes: RoleSizes): [AxisPart, number][] {
  const whole = axis.length ?? dim - (axis.offset ?? 0);
  const isAlone = axis.parts.length === 1;
  const knownOf = (isDimKnown: boolean) =>
    axis.parts.map((part) => {
      if (part.size !== undefined) return part.size;
      const isKnown = !isAlone && sizes.has(part) && (isDimKnown || part.role !== 'dim');
      return isKnown ? sizes.of(part.role, part.level) : undefined;
    });
  const restOf = (known: readonly (number | undefined)[]) =>
    whole / known.reduce<number>((product, size = 1) => product * size, 1);
  // Values may have another size than queries and keys.
  const together = knownOf(true);
  const known = !together.includes(undefined) && restOf(together) !== 1 ? knownOf(false) : together;
  const rest = restOf(known);
  const first = known.indexOf(undefined);
  if (axis.parts.length > 0 && !(first < 0 ? rest === 1 : Number.isInteger(rest)))
    throw new AppError(
      'model-unsupported',
      `Attention of this model cannot be read: an axis of ${dim} does not hold ${axis.parts.map(({ role }, i) => `${known[i] ?? 'some'} of ${role}`).join(' times ')}.`,
    );
  return axis.parts.map((part, i) => [part, known[i] ?? (i === first ? rest : 1)]);
}

function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length).fill(1);
  for (let i = dims.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * dims[i + 1]!;
  return strides;
}

function floatsOf({ data, type }: FetchedTensor): Float32Array {
  if (data instanceof Float32Array) return data;
  if (type === 'float16' && data instanceof Uint16Array) return halfToFloat(data);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float32Array.from(data, Number);
  return Float32Array.from(data as ArrayLike<number>);
}
