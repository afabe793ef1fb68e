/** Queries, keys or values of a run, a head at a time: [token, dim], with what an operator adds or rotates inside. */
import type { HeadTensor, ProjectionStep } from '../graph/attention-site.ts';
import { offsetOf } from './score-row.ts';
import type { RoleSizes, TensorView } from './tensor-view.ts';

export class HeadRows {
  readonly heads: number;
  readonly headDim: number;
  readonly #view: TensorView;
  readonly #head: HeadTensor<TensorView>;
  readonly #role: 'query' | 'key';
  readonly #sizes: RoleSizes;
  #last: { readonly batch: number; readonly head: number; readonly rows: Float32Array } | undefined;

  constructor(head: HeadTensor<TensorView>, role: 'query' | 'key', sizes: RoleSizes) {
    this.#view = head.tensor;
    this.#head = head;
    this.#role = role;
    this.#sizes = sizes;
    const { projection } = head;
    this.headDim = projection?.headDim ?? head.tensor.size('dim');
    this.heads =
      projection?.heads ?? sizes.levels('head').reduce((count, level) => count * head.tensor.size('head', level), 1);
  }

  /** Of the head that serves query head `head`: [token, dim]. The last one is kept. */
  rows(batch: number, head: number): Float32Array {
    const own = this.#head.projection ? head : this.#view.ownHead(this.#sizes, head);
    if (this.#last?.batch === batch && this.#last.head === own) return this.#last.rows;
    const rows = this.#head.projection ? this.#project(this.#head.projection, batch, head) : this.#read(batch, head);
    this.#last = { batch, head: own, rows };
    return rows;
  }

  #read(batch: number, head: number): Float32Array {
    const tokens = this.#sizes.of(this.#role);
    const size = this.headDim;
    const { data } = this.#view;
    const start = this.#view.start(this.#sizes, batch, head);
    const [tokenStep, dimStep] = [this.#view.step(this.#role), this.#view.step('dim')];
    const zero = numberOf(this.#head.zeroPoint);
    const rows = new Float32Array(tokens * size);
    for (let t = 0; t < tokens; t++)
      for (let d = 0; d < size; d++) rows[t * size + d] = data[start + t * tokenStep + d * dimStep]! - zero;
    this.#addBias(rows, batch, head, size);
    this.#rotate(rows, batch, size);
    return rows;
  }

  /** A head's columns of the product of the input with the weights. */
  #project(
    { weights, bias, offset, headDim, heads, codes }: ProjectionStep<TensorView>,
    batch: number,
    head: number,
  ): Float32Array {
    const tokens = this.#sizes.of(this.#role);
    const { data } = this.#view;
    const inner = this.#view.lastSize;
    const columns = weights.data.length / inner;
    const first = offset + Math.floor((head * heads) / this.#sizes.total('head')) * headDim;
    const start = this.#view.start(this.#sizes, batch, 0);
    const step = this.#view.step(this.#role);
    const rows = new Float32Array(tokens * headDim);
    const inputZero = codes?.inputZero?.data[0] ?? 0;
    for (let d = 0; d < headDim; d++) {
      const [zero, scale] = [columnOf(codes?.weightZero, first + d) ?? 0, scaleOf(codes, first + d)];
      for (let t = 0; t < tokens; t++) {
        let sum = 0;
        for (let i = 0; i < inner; i++)
          sum += (data[start + t * step + i]! - inputZero) * (weights.data[i * columns + first + d]! - zero);
        rows[t * headDim + d] = sum * scale + (bias?.data[first + d] ?? 0);
      }
    }
    return rows;
  }

  #addBias(rows: Float32Array, batch: number, head: number, size: number): void {
    const bias = this.#head.bias?.tensor;
    if (!bias || !('step' in bias)) return;
    const start = bias.start(this.#sizes, batch, head);
    const [tokenStep, dimStep] = [bias.step(this.#role), bias.step('dim')];
    for (let i = 0; i < rows.length; i++) {
      const [t, d] = [Math.floor(i / size), i % size];
      rows[i] = rows[i]! + bias.data[start + t * tokenStep + d * dimStep]!;
    }
  }

  #rotate(rows: Float32Array, batch: number, size: number): void {
    const { rotary } = this.#head;
    if (!rotary) return;
    const { cos, sin, half, isInterleaved } = rotary;
    for (let t = 0; t < rows.length / size; t++) {
      const position = this.#position(batch, t);
      for (let i = 0; i < half; i++) {
        const [a, b] = isInterleaved ? [2 * i, 2 * i + 1] : [i, i + half];
        const [c, s] = [dataOf(cos)[position * half + i]!, dataOf(sin)[position * half + i]!];
        const [x, y] = [rows[t * size + a]!, rows[t * size + b]!];
        rows[t * size + a] = x * c - y * s;
        rows[t * size + b] = x * s + y * c;
      }
    }
  }

  #position(batch: number, token: number): number {
    const { positions, past } = this.#head.rotary!;
    if (!positions) return offsetOf(past, batch, this.#sizes) + token;
    const { tensor } = positions;
    if (!('step' in tensor)) return tensor.data[0]! + token;
    const at = tensor.data[tensor.start(this.#sizes, batch, 0) + token * tensor.step('query')]!;
    // One for all queries is that of the first.
    return tensor.step('query') === 0 ? at + token : at;
  }
}

/** One for all, or one for each column. */
function columnOf(view: TensorView | undefined, column: number): number | undefined {
  return view?.data[view.data.length === 1 ? 0 : column];
}

function scaleOf(codes: ProjectionStep<TensorView>['codes'], column: number): number {
  return codes ? codes.inputScale.data[0]! * columnOf(codes.weightScale, column)! : 1;
}

function dataOf(table: TensorView | { readonly data: ArrayLike<number> }): ArrayLike<number> {
  return table.data;
}

function numberOf(tensor: HeadTensor<TensorView>['zeroPoint']): number {
  return tensor?.data[0] ?? 0;
}
