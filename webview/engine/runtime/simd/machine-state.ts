/** What a run is told beside its plan: tokens, positions, whose cache, which rows of logits, taps, gates and changes. */
import type { Machine } from './machine.ts';
import type { SimdCache } from './simd-cache.ts';

export interface Segment {
  readonly cache: SimdCache;
  readonly tokens: readonly number[];
}

export interface RunRequest {
  readonly segments: readonly Segment[];
  /** Ascending. */
  readonly selected: readonly number[];
  readonly isExact: boolean;
  /** [layer, head] */
  readonly gates?: Float32Array | undefined;
  /** Addresses of the tables of patches and cuts, or 0. */
  readonly changes: readonly [patches: number, cuts: number];
  /** Address of the tap table, or 0. */
  readonly taps: number;
}

export interface StateShape {
  readonly maxRows: number;
  readonly contextLength: number;
  readonly pageTokens: number;
  readonly widestInput: number;
  readonly gates: number;
  readonly numberBytes: number;
  /** Floats that attention needs for a run of `maxRows`. */
  readonly attentionScratch: number;
}

const stateWords = 16;
const segmentWords = 4;

/** The state's place in memory, written before each run. */
export class MachineState {
  readonly address: number;
  readonly #machine: Machine;
  readonly #positions: number;
  readonly #segments: number;
  readonly #selected: number;
  readonly #ids: number;
  readonly #gates: number;
  readonly #pageTables: number;
  readonly #pagesOfSegment: number;

  constructor(machine: Machine, shape: StateShape) {
    const { maxRows, widestInput } = shape;
    this.#machine = machine;
    const words = (count: number) => machine.allocate(count * 4);
    this.address = words(stateWords);
    this.#positions = words(maxRows);
    this.#segments = words(maxRows * segmentWords);
    this.#selected = words(maxRows);
    this.#ids = words(maxRows);
    this.#gates = words(shape.gates);
    this.#pagesOfSegment = Math.ceil(shape.contextLength / shape.pageTokens);
    this.#pageTables = words(maxRows * this.#pagesOfSegment);
    const quantised = machine.allocate(machine.exports.quantisedBytes(maxRows, widestInput));
    const scratch = [quantised, 0, 0, words(shape.attentionScratch)];
    machine.words(this.address + 9 * 4, 5).set([...scratch, shape.numberBytes]);
  }

  /** Returns the number of rows. */
  write({ segments, selected, isExact, gates, changes, taps }: RunRequest): number {
    const machine = this.#machine;
    let row = 0;
    for (const [index, { cache, tokens }] of segments.entries()) {
      const table = this.#pageTables + index * this.#pagesOfSegment * 4;
      const pages = cache.pages.map(({ address }) => address);
      machine.words(table, pages.length).set(pages);
      const segment = [row, tokens.length, cache.length, table];
      machine.words(this.#segments + index * segmentWords * 4, segmentWords).set(segment);
      machine.words(this.#ids + row * 4, tokens.length).set(tokens);
      machine.words(this.#positions + row * 4, tokens.length).set(tokens.map((_, i) => cache.length + i));
      row += tokens.length;
    }
    machine.words(this.#selected, selected.length).set(selected);
    if (gates) machine.floats(this.#gates, gates.length).set(gates);
    machine
      .words(this.address, 9)
      .set([
        ...[this.#positions, segments.length, this.#segments, selected.length, this.#selected, this.#ids],
        ...[isExact ? 1 : 0, gates ? this.#gates : 0, taps],
      ]);
    machine.words(this.address + 10 * 4, 2).set(changes);
    return row;
  }
}
