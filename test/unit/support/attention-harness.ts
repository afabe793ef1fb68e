/** Runs the attention kernel over caches of a test's own, and the same in float64. */
import { Float, KernelMemory } from './kernel-memory.ts';
import type { Kernels } from './kernels.ts';
import { createRandom } from './random.ts';

export interface AttentionForm {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly layers?: number;
  readonly layer?: number;
  readonly scale?: number;
  readonly softcap?: number;
  readonly window?: number;
  readonly sinks?: readonly number[];
  /** [layer, head] */
  readonly gates?: readonly number[];
  readonly numberBytes?: 4 | 2;
}

/** Query, key and value of each position: rows of heads * headDim and kvHeads * headDim numbers. */
export interface Sequence {
  readonly query: readonly Float32Array[];
  readonly key: readonly Float32Array[];
  readonly value: readonly Float32Array[];
}

export function createSequence(form: AttentionForm, length: number, seed: number): Sequence {
  const random = createRandom(seed);
  const rows = (heads: number, size: number) =>
    Array.from({ length }, () => Float32Array.from({ length: heads * form.headDim }, () => (random() - 0.5) * size));
  return { query: rows(form.heads, 4), key: rows(form.kvHeads, 4), value: rows(form.kvHeads, 2) };
}

const pageTokens = 32;
const mostRows = 256;

interface Cache {
  readonly sequence: Sequence;
  readonly table: number;
  readonly pages: readonly number[];
  length: number;
}

export class AttentionHarness {
  readonly memory: KernelMemory;
  readonly pageNumbers: number;
  readonly #kernels: Kernels;
  readonly #form: AttentionForm;
  readonly #state: number;
  readonly #rows: number;
  readonly #to: number;
  readonly #step: number;
  readonly #taps: number[];

  /** With `isTapped`, queries and outputs are copied out too. */
  constructor(kernels: Kernels, form: AttentionForm, isTapped = false) {
    const { heads, kvHeads, headDim, layers = 1, layer = 0, numberBytes = 4 } = form;
    this.#kernels = kernels;
    this.#form = form;
    const memory = new KernelMemory(kernels);
    this.memory = memory;
    const padded = Math.ceil(headDim / 4) * 4;
    this.pageNumbers = layers * kvHeads * pageTokens * (headDim + padded);
    this.#rows = memory.allocate(mostRows * this.#stride * 4);
    this.#to = memory.allocate(mostRows * this.#toStride * 4);
    const [, key, value] = [0, heads, heads + kvHeads].map((at) => this.#rows + at * headDim * 4);
    this.#step = memory.words([
      ...[5, 21, layer, heads, kvHeads, headDim, new Float(form.scale ?? 1 / Math.sqrt(headDim))],
      ...[new Float(form.softcap ?? 0), form.window ?? 0, form.sinks ? memory.floats(form.sinks) : 0],
      ...[this.#rows, this.#stride, key!, this.#stride, value!, this.#stride, this.#to, this.#toStride],
      ...[this.#rows, this.#stride, 3],
    ]);
    this.#taps = isTapped
      ? [heads * headDim, heads * headDim, 3].map((width) => memory.allocate(mostRows * width * 4))
      : [];
    const table = new Array(layers * 4).fill(0);
    table.splice(layer * 4, 3, ...this.#taps);
    const gates = form.gates ? memory.floats(form.gates) : 0;
    const scratch = memory.allocate((160 * padded + 2304) * 4);
    const taps = isTapped ? memory.words(table) : 0;
    this.#state = memory.words([0, 0, memory.allocate(1024), 0, 0, 0, 0, gates, taps, 0, 0, 0, scratch, numberBytes]);
  }

  get #stride(): number {
    return (this.#form.heads + 2 * this.#form.kvHeads) * this.#form.headDim + 3;
  }

  get #toStride(): number {
    return this.#form.heads * this.#form.headDim + 2;
  }

  createCache(sequence: Sequence): Cache {
    const count = Math.ceil(sequence.key.length / pageTokens);
    const pages = Array.from({ length: count }, () =>
      this.memory.allocate(this.pageNumbers * (this.#form.numberBytes ?? 4)),
    );
    return { sequence, pages, table: this.memory.words(pages), length: 0 };
  }

  /** The next `rows` positions of each cache in one run; returns [row] of [heads * headDim], cache after cache. */
  run(segments: readonly (readonly [cache: Cache, rows: number])[]): Float32Array[] {
    const words = this.memory.view(this.#state, 3);
    words[1] = segments.length;
    let row = 0;
    for (const [i, [cache, rows]] of segments.entries()) {
      this.memory.view(words[2]! + i * 16, 4).set([row, rows, cache.length, cache.table]);
      for (const end = cache.length + rows; cache.length < end; cache.length++) {
        const { query, key, value } = cache.sequence;
        const parts = [query, key, value].flatMap((list) => [...list[cache.length]!]);
        this.memory.write(this.#rows + row++ * this.#stride * 4, parts);
      }
    }
    this.memory.write(this.#to, new Float32Array(row * this.#toStride).fill(9));
    this.#kernels.exports.attention!(this.#step, row, this.#state);
    return this.#read(this.#to, row, this.#toStride);
  }

  /** [query, output, residual] of the last run's rows. */
  taps(rows: number): Float32Array[][] {
    const width = this.#form.heads * this.#form.headDim;
    return this.#taps.map((at, i) => this.#read(at, rows, i === 2 ? 3 : width, i === 2 ? 3 : width));
  }

  /** What lies behind the outputs of each row: 9s. */
  gaps(rows: number): number[] {
    return this.#read(this.#to, rows, this.#toStride, this.#toStride).flatMap((row) => [...row.subarray(-2)]);
  }

  #read(at: number, rows: number, stride: number, width = this.#form.heads * this.#form.headDim): Float32Array[] {
    return Array.from({ length: rows }, (_, row) => this.memory.read(at + row * stride * 4, width));
  }
}

/** Attention of the query at a position over all positions up to it: [heads * headDim]. */
export function attendExactly(form: AttentionForm, { query, key, value }: Sequence, position: number): Float64Array {
  const { heads, kvHeads, headDim, layer = 0, scale = 1 / Math.sqrt(headDim), softcap, window, sinks, gates } = form;
  const out = new Float64Array(heads * headDim);
  for (let head = 0; head < heads; head++) {
    const [at, kvAt] = [head * headDim, Math.floor(head / (heads / kvHeads)) * headDim];
    const from = window ? Math.max(0, position - window + 1) : 0;
    const scores = key.slice(from, position + 1).map((k) => {
      let score = 0;
      for (let i = 0; i < headDim; i++) score += query[position]![at + i]! * k[kvAt + i]!;
      score *= Math.fround(scale);
      return softcap ? softcap * Math.tanh(score / softcap) : score;
    });
    const sink = sinks ? sinks[head]! : Number.NEGATIVE_INFINITY;
    const greatest = Math.max(sink, ...scores);
    const weights = scores.map((score) => Math.exp(score - greatest));
    const sum = weights.reduce((a, b) => a + b, Math.exp(sink - greatest));
    for (const [token, weight] of weights.entries())
      for (let i = 0; i < headDim; i++)
        out[at + i]! += (weight / sum) * value[from + token]![kvAt + i]! * (gates?.[layer * heads + head] ?? 1);
  }
  return out;
}

/** The nearest float16, ties to even, as a number: what IEEE 754 says, but that numbers past 65,504 become that. */
export function roundToHalf(x: number): number {
  const size = Math.abs(x);
  if (size >= 65_504) return Math.sign(x) * 65_504;
  const unit = 2 ** (Math.max(Math.floor(Math.log2(size || 1)), -14) - 10);
  const units = size / unit;
  const below = Math.floor(units);
  const isUp = units - below > 0.5 || (units - below === 0.5 && below % 2 === 1);
  return Math.sign(x) * (below + (isUp ? 1 : 0)) * unit;
}
