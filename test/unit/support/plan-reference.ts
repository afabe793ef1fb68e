/** Runs a plan in float64, one number after the other: what compiled graphs and the kernels are compared with. */
import type { EdgeCut, HeadPatch } from '../../../webview/engine/decoder.ts';
import type { Plan, Slice, Step } from '../../../webview/engine/runtime/simd/plan.ts';
import { type ReadTensor, weightRows } from './plan-weights.ts';
import { activate } from './reference-maths.ts';

export interface ReferenceTap {
  /** As attention is given it: [row] of [heads * headDim]. */
  readonly query: readonly Float64Array[];
  /** Softmax with sinks: [head][row] of [key], 0 where masked. */
  readonly weights: readonly (readonly Float64Array[])[];
  /** All that the cache holds after this run: [token] of [kvHeads * headDim]. */
  readonly key: readonly Float64Array[];
  readonly value: readonly Float64Array[];
  /** After gates: [row] of [heads * headDim]. */
  readonly output: readonly Float64Array[];
  /** [row] of the residual stream that the layer reads; empty where the plan does not tell it. */
  readonly residual: readonly Float64Array[];
}

export interface ReferenceOptions {
  /** Rows whose logits are wanted, ascending; all by default. */
  readonly rows?: readonly number[];
  /** [layer, head] */
  readonly gates?: ArrayLike<number>;
  readonly patches?: readonly HeadPatch[];
  readonly cuts?: readonly EdgeCut[];
}

type Of<Op extends Step['op']> = Extract<Step, { op: Op }>;
type Rows = Float64Array[];

interface Layer {
  readonly key: Rows;
  readonly value: Rows;
}

export class PlanReference {
  readonly #plan: Plan;
  readonly #read: ReadTensor;
  #layers: Layer[] = [];
  #past = 0;

  constructor(plan: Plan, read: ReadTensor) {
    this.#plan = plan;
    this.#read = read;
    this.reset();
  }

  /** Empties the cache. */
  reset(): void {
    this.#past = 0;
    this.#layers = Array.from({ length: this.#plan.layers }, () => ({ key: [], value: [] }));
  }

  /** Appends the tokens to the cache. Returns a row of logits for each row asked for, and a tap for each layer. */
  forward(tokens: readonly number[], options: ReferenceOptions = {}): { logits: Rows; taps: ReferenceTap[] } {
    const { rows = tokens.map((_, row) => row) } = options;
    const run = new Run(this.#plan, this.#read, {
      ...options,
      tokens,
      past: this.#past,
      rows,
      layers: this.#layers,
    });
    for (const step of this.#plan.steps) run.step(step);
    this.#past += tokens.length;
    return { logits: run.logits(), taps: run.taps };
  }
}

interface RunOptions extends ReferenceOptions {
  readonly tokens: readonly number[];
  readonly past: number;
  readonly rows: readonly number[];
  readonly layers: readonly Layer[];
}

class Run {
  readonly taps: ReferenceTap[] = [];
  readonly #plan: Plan;
  readonly #read: ReadTensor;
  readonly #options: RunOptions;
  readonly #buffers: Rows[];
  #rows: number;
  #isSelected = false;

  constructor(plan: Plan, read: ReadTensor, options: RunOptions) {
    this.#plan = plan;
    this.#read = read;
    this.#options = options;
    this.#rows = options.tokens.length;
    this.#buffers = plan.buffers.map((width) => options.tokens.map(() => new Float64Array(width)));
  }

  logits(): Rows {
    const rows = this.#get(this.#plan.logits).map((row) => row.slice());
    return this.#isSelected ? rows : this.#options.rows.map((row) => rows[row]!);
  }

  step(step: Step): void {
    switch (step.op) {
      case 'embed':
        return this.#embed(step);
      case 'norm':
        return this.#norm(step);
      case 'linear':
        return this.#linear(step);
      case 'rotary':
        return this.#rotary(step);
      case 'attention':
        return this.#attention(step);
      case 'unary':
        return this.#each(step.to, [step.from], ([x]) => activate(step.function, x!));
      case 'glu':
        return this.#each(step.to, [step.gate, step.up], ([gate, up]) => activate(step.function, gate!) * up!);
      case 'binary':
        return this.#binary(step);
      case 'select':
        return this.#select(step);
    }
  }

  #embed({ by, table, to }: Of<'embed'>): void {
    const rowOf = weightRows(table, this.#read);
    const { tokens, past } = this.#options;
    for (const [row, out] of this.#get(to).entries()) out.set(rowOf(by === 'token' ? tokens[row]! : past + row));
  }

  #norm(step: Of<'norm'>): void {
    const { kind, groups, epsilon, weight, bias } = step;
    const size = step.from.width / groups;
    const from = this.#copy(step.from);
    const add = step.add && this.#copy(step.add);
    for (const [row, x] of from.entries()) {
      for (let i = 0; i < x.length; i++) x[i]! += (add?.[row]?.[i] ?? 0) + (step.addBias?.[i] ?? 0);
      if (step.sum) this.#get(step.sum)[row]!.set(x);
      const to = this.#get(step.to)[row]!;
      for (let group = 0; group < groups; group++) {
        const part = x.subarray(group * size, (group + 1) * size);
        const mean = kind === 'layer' ? part.reduce((a, b) => a + b, 0) / size : 0;
        const variance = part.reduce((a, b) => a + (b - mean) ** 2, 0) / size;
        for (let i = 0; i < size; i++)
          to[group * size + i] =
            ((part[i]! - mean) / Math.sqrt(variance + epsilon)) * (weight?.[i] ?? 1) + (bias?.[i] ?? 0);
      }
    }
  }

  #linear({ from, weight, bias, to }: Of<'linear'>): void {
    const inputs = this.#copy(from);
    const outputs = this.#get(to);
    const rowOf = weightRows(weight, this.#read);
    for (let i = 0; i < weight.rows; i++) {
      const weights = rowOf(i);
      for (const [row, x] of inputs.entries()) {
        let sum = bias?.[i] ?? 0;
        for (let j = 0; j < weights.length; j++) sum += weights[j]! * x[j]!;
        outputs[row]![i] = sum;
      }
    }
  }

  #rotary({ at, heads, headDim, rotaryDim, isInterleaved, cos, sin }: Of<'rotary'>): void {
    const half = rotaryDim / 2;
    for (const [row, x] of this.#get(at).entries())
      for (let head = 0; head < heads; head++)
        for (let i = 0; i < half; i++) {
          const a = head * headDim + (isInterleaved ? 2 * i : i);
          const b = isInterleaved ? a + 1 : a + half;
          const angle = (this.#options.past + row) * half + i;
          const [c, s] = [cos[angle]!, sin[angle]!];
          [x[a], x[b]] = [x[a]! * c - x[b]! * s, x[b]! * c + x[a]! * s];
        }
  }

  #attention(step: Of<'attention'>): void {
    const { key, value } = this.#options.layers[step.layer]!;
    key.push(...this.#copy(step.key));
    value.push(...this.#copy(step.value));
    const query = this.#copy(step.query);
    const residual = step.residual ? this.#copy(step.residual) : [];
    const to = this.#get(step.to);
    const weights = Array.from({ length: step.heads }, (_, head) =>
      query.map((q, row) => this.#weights(step, q, head, row)),
    );
    const { gates } = this.#options;
    const group = step.heads / step.kvHeads;
    for (const [head, rows] of weights.entries())
      for (const [row, list] of rows.entries())
        for (let dim = 0; dim < step.headDim; dim++) {
          const at = Math.floor(head / group) * step.headDim + dim;
          const sum = list.reduce((total, weight, token) => total + (weight && weight * value[token]![at]!), 0);
          to[row]![head * step.headDim + dim] = sum * (gates?.[step.layer * step.heads + head] ?? 1);
        }
    for (const patch of this.#options.patches ?? []) if (patch.layer === step.layer) this.#patch(to, step, patch);
    const output = to.map((row) => row.slice());
    this.taps[step.layer] = { query, weights, key: [...key], value: [...value], output, residual };
  }

  #patch(to: Rows, { headDim }: Of<'attention'>, { head, how, at, rows }: HeadPatch): void {
    for (let i = 0; i < rows.length; i++) {
      const row = to[at + Math.floor(i / headDim) - this.#options.past];
      const dim = head * headDim + (i % headDim);
      if (row) row[dim] = (how === 'replace' ? 0 : row[dim]!) + rows[i]!;
    }
  }

  #isCut(layer: number, head: number, query: number, key: number): boolean {
    return (this.#options.cuts ?? []).some(
      (cut) =>
        cut.query === query &&
        cut.key === key &&
        layer >= cut.layers[0] &&
        layer <= cut.layers[1] &&
        (cut.heads?.includes(head) ?? true),
    );
  }

  /** Of one query over all keys in the cache. */
  #weights(step: Of<'attention'>, query: Float64Array, head: number, row: number): Float64Array {
    const { headDim, scale, softcap, window = Number.POSITIVE_INFINITY, sinks } = step;
    const { key } = this.#options.layers[step.layer]!;
    const at = Math.floor(head / (step.heads / step.kvHeads)) * headDim;
    const position = this.#options.past + row;
    const scores = key.map((k, token) => {
      if (token > position || token <= position - window) return Number.NEGATIVE_INFINITY;
      if (this.#isCut(step.layer, head, position, token)) return Number.NEGATIVE_INFINITY;
      let score = 0;
      for (let dim = 0; dim < headDim; dim++) score += query[head * headDim + dim]! * k[at + dim]!;
      score *= scale;
      return softcap ? softcap * Math.tanh(score / softcap) : score;
    });
    const sink = sinks ? sinks[head]! : Number.NEGATIVE_INFINITY;
    const max = scores.reduce((a, b) => Math.max(a, b), sink);
    const exps = scores.map((score) => Math.exp(score - max));
    const sum = exps.reduce((a, b) => a + b, Math.exp(sink - max));
    return Float64Array.from(exps, (one) => one / sum);
  }

  #binary({ function: name, left, right, to }: Of<'binary'>): void {
    const compute = (a: number, b: number) =>
      name === 'add' ? a + b : name === 'subtract' ? a - b : name === 'multiply' ? a * b : a / b;
    if (typeof right === 'number') return this.#each(to, [left], ([a]) => compute(a!, Math.fround(right)));
    if (right instanceof Float32Array) return this.#each(to, [left], ([a], i) => compute(a!, right[i]!));
    this.#each(to, [left, right], ([a, b]) => compute(a!, b!));
  }

  #select({ buffers }: Of<'select'>): void {
    const { rows } = this.#options;
    for (const buffer of buffers) this.#buffers[buffer] = rows.map((row) => this.#buffers[buffer]![row]!);
    this.#rows = rows.length;
    this.#isSelected = true;
  }

  #each(to: Slice, from: readonly Slice[], compute: (numbers: number[], index: number) => number): void {
    const inputs = from.map((slice) => this.#copy(slice));
    for (const [row, out] of this.#get(to).entries())
      for (let i = 0; i < out.length; i++)
        out[i] = compute(
          inputs.map((input) => input[row]![i]!),
          i,
        );
  }

  /** Views of the rows that are left. */
  #get({ buffer, offset, width }: Slice): Rows {
    return this.#buffers[buffer]!.slice(0, this.#rows).map((row) => row.subarray(offset, offset + width));
  }

  #copy(slice: Slice): Rows {
    return this.#get(slice).map((row) => row.slice());
  }
}
