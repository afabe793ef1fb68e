/** Memory that a run copies queries, attention outputs and residuals of chosen layers to; none until it is asked for. */
import type { Machine } from './machine.ts';
import type { Plan } from './plan.ts';

const tableWords = 4;

interface Places {
  readonly query: number;
  readonly output: number;
  readonly residual: number;
}

export class TapArea {
  readonly #machine: Machine;
  readonly #layers: number;
  readonly #maxRows: number;
  readonly #heads: number;
  readonly #headDim: number;
  /** Per layer, floats in a row of its residual; 0 where the plan does not tell it. */
  readonly #residualWidths: readonly number[];
  readonly #places = new Map<number, Places>();
  #table = 0;

  constructor(machine: Machine, plan: Plan, maxRows: number) {
    this.#machine = machine;
    this.#layers = plan.layers;
    this.#maxRows = maxRows;
    this.#heads = plan.heads;
    this.#headDim = plan.headDim;
    const widths: number[] = new Array(plan.layers).fill(0);
    for (const step of plan.steps) if (step.op === 'attention') widths[step.layer] = step.residual?.width ?? 0;
    this.#residualWidths = widths;
  }

  /** The address of the tap table for these layers, or 0 for none. */
  ask(layers: readonly number[], withOutputs: boolean): number {
    if (layers.length === 0) return 0;
    this.#table ||= this.#machine.allocate(this.#layers * tableWords * 4);
    for (const layer of layers) this.#place(layer);
    const table = this.#machine.words(this.#table, this.#layers * tableWords).fill(0);
    for (const layer of layers) {
      const { query, output, residual } = this.#place(layer);
      table.set([query, withOutputs ? output : 0, withOutputs ? residual : 0], layer * tableWords);
    }
    return this.#table;
  }

  /** Of the last run: [head, token, headDim]. */
  query(layer: number, rows: number): Float32Array {
    const [heads, size] = [this.#heads, this.#headDim];
    const from = this.#machine.floats(this.#place(layer).query, rows * heads * size);
    const query = new Float32Array(from.length);
    for (let row = 0; row < rows; row++)
      for (let head = 0; head < heads; head++) {
        const at = (row * heads + head) * size;
        query.set(from.subarray(at, at + size), (head * rows + row) * size);
      }
    return query;
  }

  /** Of the last run: [token, heads * headDim] and [token, width of the residual stream]. */
  outputs(layer: number, rows: number): { output: Float32Array; residual: Float32Array } {
    const { output, residual } = this.#place(layer);
    return {
      output: this.#machine.floats(output, rows * this.#heads * this.#headDim).slice(),
      residual: this.#machine.floats(residual, rows * this.#residualWidths[layer]!).slice(),
    };
  }

  #place(layer: number): Places {
    const known = this.#places.get(layer);
    if (known) return known;
    const residualWidth = this.#residualWidths[layer];
    if (residualWidth === undefined) throw new RangeError(`There is no layer ${layer}; the model has ${this.#layers}.`);
    const floats = (count: number) => this.#machine.allocate(this.#maxRows * count * 4);
    const width = this.#heads * this.#headDim;
    const place = { query: floats(width), output: floats(width), residual: floats(residualWidth) };
    this.#places.set(layer, place);
    return place;
  }
}
