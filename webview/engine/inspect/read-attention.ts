/** Attention weights of one site from the tensors of a run, computed row by row as the graph computes them. */
import { AppError } from '../../../src/shared/app-error.ts';
import type { AttentionKind, AttentionSite, HeadTensor, ScoreProgram } from '../graph/attention-site.ts';
import { Binder, type Fetch } from './bind-site.ts';
import { HeadRows } from './head-rows.ts';
import { applyStep, type RowPlace } from './score-row.ts';
import { RoleSizes, type TensorView } from './tensor-view.ts';
import { products, softmax } from './weights-row.ts';

export interface AttentionCapture {
  readonly site: AttentionSite;
  readonly kind: AttentionKind;
  readonly batch: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly queries: number;
  readonly keys: number;
  /** Weights of one query: [key]. With a sink they sum to less than 1; where all keys are hidden they may be NaN. */
  row(batch: number, head: number, query: number): Float32Array<ArrayBuffer>;
  /** Weights of one head: [query, key]. */
  map(batch: number, head: number): Float32Array<ArrayBuffer>;
  /** Of one token: [dim]; undefined where the graph does not show them. `head` counts query heads in all three. */
  queryRow(batch: number, head: number, query: number): Float32Array | undefined;
  keyRow(batch: number, head: number, key: number): Float32Array | undefined;
  valueRow(batch: number, head: number, key: number): Float32Array | undefined;
  /** What a head hands on, of one query: [dim]; undefined where it was not fetched. */
  outputRow(batch: number, head: number, query: number): Float32Array | undefined;
  /** Scores of one query before softmax, [key], if all its products with keys were `product`: shows masks and biases. */
  scores(batch: number, head: number, query: number, product: number): Float32Array<ArrayBuffer> | undefined;
  /** What joins the sum of a head's row. */
  sink(batch: number, head: number): number | undefined;
}

/**
 * Undefined where the site did not run: another branch was taken.
 * @throws AppError `engine-failed` when the run did not return a tensor that `neededTensors` names.
 */
export function readAttention(site: AttentionSite, fetch: Fetch): AttentionCapture | undefined {
  const sizes = new RoleSizes();
  const binder = new Binder(site, fetch, sizes);
  const first = site.program?.query.tensor ?? site.probabilities?.tensor;
  if (typeof first !== 'string')
    throw new AppError(
      'model-unsupported',
      `The attention of ${site.node} cannot be read: ${site.note ?? 'nothing shows it'}`,
    );
  if (site.path.length > 0 && binder.fetched(first).data.length === 0) return undefined;
  const { program, probabilities } = site;
  if (!program)
    return new HeldCapture(site, binder.bound(() => binder.side(probabilities!)).tensor as TensorView, sizes);
  const parts = binder.bound(() => ({
    program: binder.program(program),
    value: boundHead(site.value, fetch, binder),
    output: boundHead(site.output, fetch, binder),
  }));
  return new ComputedCapture(site, parts, sizes);
}

function boundHead(head: HeadTensor | undefined, fetch: Fetch, binder: Binder): HeadTensor<TensorView> | undefined {
  const isThere = head !== undefined && fetch(head.tensor) !== undefined;
  return isThere ? binder.head(head) : undefined;
}

abstract class Capture implements AttentionCapture {
  readonly site: AttentionSite;
  protected readonly sizes: RoleSizes;
  #kind: AttentionKind | undefined;

  constructor(site: AttentionSite, sizes: RoleSizes) {
    this.site = site;
    this.sizes = sizes;
  }

  abstract readonly kvHeads: number;
  abstract readonly headDim: number;
  abstract row(batch: number, head: number, query: number): Float32Array<ArrayBuffer>;
  abstract queryRow(batch: number, head: number, query: number): Float32Array | undefined;
  abstract keyRow(batch: number, head: number, key: number): Float32Array | undefined;
  abstract valueRow(batch: number, head: number, key: number): Float32Array | undefined;
  abstract outputRow(batch: number, head: number, query: number): Float32Array | undefined;
  abstract scores(batch: number, head: number, query: number, product: number): Float32Array<ArrayBuffer> | undefined;
  abstract sink(batch: number, head: number): number | undefined;
  /** A row that shows which keys the query may see. */
  protected abstract maskRow(query: number): Float32Array;

  get batch(): number {
    return this.sizes.total('batch');
  }

  get heads(): number {
    return this.sizes.total('head');
  }

  get queries(): number {
    return this.sizes.of('query');
  }

  get keys(): number {
    return this.sizes.of('key');
  }

  get kind(): AttentionKind {
    this.#kind ??= this.site.kind === 'self' ? this.#kindOfRun() : this.site.kind;
    return this.#kind;
  }

  map(batch: number, head: number): Float32Array<ArrayBuffer> {
    const map = new Float32Array(this.queries * this.keys);
    for (let query = 0; query < this.queries; query++) map.set(this.row(batch, head, query), query * this.keys);
    return map;
  }

  /** Causal where queries that have keys behind them see none of those; some rows tell. */
  #kindOfRun(): AttentionKind {
    const past = this.keys - this.queries;
    const last = Math.min(this.queries - 1, maxMaskRows);
    for (let query = 0; query < last; query++)
      if (
        this.maskRow(query)
          .subarray(past + query + 1)
          .some((weight) => weight > 0)
      )
        return 'bidirectional';
    if (last > 0 || past > 0) return 'causal';
    return 'self';
  }
}

const maxMaskRows = 32;

interface BoundParts {
  readonly program: ScoreProgram<TensorView>;
  readonly value: HeadTensor<TensorView> | undefined;
  readonly output: HeadTensor<TensorView> | undefined;
}

class ComputedCapture extends Capture {
  readonly #program: ScoreProgram<TensorView>;
  readonly #query: HeadRows;
  readonly #key: HeadRows;
  readonly #value: HeadRows | undefined;
  readonly #output: HeadRows | undefined;

  constructor(site: AttentionSite, { program, value, output }: BoundParts, sizes: RoleSizes) {
    super(site, sizes);
    this.#program = program;
    this.#query = new HeadRows(this.#program.query, 'query', sizes);
    this.#key = new HeadRows(this.#program.key, 'key', sizes);
    this.#value = value && new HeadRows(value, 'key', sizes);
    this.#output = output && new HeadRows(output, 'query', sizes);
  }

  get kvHeads(): number {
    return this.#key.heads;
  }

  get headDim(): number {
    return this.#query.headDim;
  }

  row(batch: number, head: number, query: number): Float32Array<ArrayBuffer> {
    const row = new Float32Array(this.keys);
    const queries = this.#query.rows(batch, head);
    const keys = this.#key.rows(batch, head);
    const size = this.headDim;
    products(queries.subarray(query * size, (query + 1) * size), keys, 0, row);
    return this.#finished(row, batch, head, query);
  }

  queryRow(batch: number, head: number, query: number): Float32Array {
    return this.#query.rows(batch, head).slice(query * this.headDim, (query + 1) * this.headDim);
  }

  keyRow(batch: number, head: number, key: number): Float32Array {
    return this.#key.rows(batch, head).slice(key * this.headDim, (key + 1) * this.headDim);
  }

  valueRow(batch: number, head: number, key: number): Float32Array | undefined {
    const rows = this.#value?.rows(batch, head);
    const size = (rows?.length ?? 0) / this.keys;
    return rows?.slice(key * size, (key + 1) * size);
  }

  outputRow(batch: number, head: number, query: number): Float32Array | undefined {
    const rows = this.#output?.rows(batch, head);
    const size = (rows?.length ?? 0) / this.queries;
    return rows?.slice(query * size, (query + 1) * size);
  }

  scores(batch: number, head: number, query: number, product: number): Float32Array<ArrayBuffer> {
    const row = new Float32Array(this.keys).fill(product);
    const place: RowPlace = { batch, head, query, sizes: this.sizes };
    for (const step of this.#program.steps) applyStep(step, row, place);
    return row;
  }

  sink(batch: number, head: number): number | undefined {
    return this.#sinkAt({ batch, head, query: 0, sizes: this.sizes });
  }

  protected maskRow(query: number): Float32Array {
    return this.#finished(new Float32Array(this.keys), 0, 0, query);
  }

  #finished(row: Float32Array<ArrayBuffer>, batch: number, head: number, query: number): Float32Array<ArrayBuffer> {
    const place: RowPlace = { batch, head, query, sizes: this.sizes };
    for (const step of this.#program.steps) applyStep(step, row, place);
    softmax(row, this.#sinkAt(place));
    for (const step of this.#program.after) applyStep(step, row, place);
    return row;
  }

  #sinkAt({ batch, head, query }: RowPlace): number | undefined {
    const sink = this.#program.sink?.tensor;
    if (!sink) return undefined;
    if (!('step' in sink)) return sink.data[0];
    return sink.data[sink.start(this.sizes, batch, head) + query * sink.step('query')];
  }
}

/** Weights that the graph holds as a tensor. */
class HeldCapture extends Capture {
  readonly kvHeads: number;
  readonly headDim: number;
  readonly #view: TensorView;

  constructor(site: AttentionSite, view: TensorView, sizes: RoleSizes) {
    super(site, sizes);
    this.#view = view;
    this.kvHeads = site.kvHeads ?? this.heads;
    this.headDim = site.headDim ?? 0;
  }

  row(batch: number, head: number, query: number): Float32Array<ArrayBuffer> {
    const start = this.#view.start(this.sizes, batch, head) + query * this.#view.step('query');
    const step = this.#view.step('key');
    return Float32Array.from({ length: this.keys }, (_, j) => this.#view.data[start + j * step]!);
  }

  protected maskRow(query: number): Float32Array {
    return this.row(0, 0, query);
  }

  queryRow(): undefined {}
  keyRow(): undefined {}
  valueRow(): undefined {}
  outputRow(): undefined {}
  scores(): undefined {}
  sink(): undefined {}
}
