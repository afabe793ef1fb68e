/** The logits of a run in a machine's memory: copied out, each row with what a sampler asks of it. */
import { type Distribution, distributionOf } from '../../../../src/shared/sampling/distribution.ts';
import type { EncodedPlan } from './encode-plan.ts';
import type { Machine } from './machine.ts';

export class LogitsArea {
  readonly #machine: Machine;
  readonly #at: EncodedPlan['logits'];
  readonly #vocabSize: number;
  /** Of four float64. */
  readonly #sums: number;

  constructor(machine: Machine, at: EncodedPlan['logits'], vocabSize: number) {
    this.#machine = machine;
    this.#at = at;
    this.#vocabSize = vocabSize;
    this.#sums = machine.allocate(32);
  }

  /** [row, vocabSize] */
  read(from: number, count: number): Float32Array {
    const rows = new Float32Array(count * this.#vocabSize);
    for (let row = 0; row < count; row++)
      rows.set(this.#machine.floats(this.#addressOf(from + row), this.#vocabSize), row * this.#vocabSize);
    return rows;
  }

  /** Of a row; undefined where its logits are not numbers. */
  describe(row: number): Distribution | undefined {
    const { exports, memory } = this.#machine;
    exports.describeRow(this.#addressOf(row), this.#vocabSize, this.#sums);
    const [max = 0, sum = 0, weighted = 0, least = 0] = new Float64Array(memory.buffer, this.#sums, 4);
    if (Number.isNaN(weighted)) return undefined;
    return distributionOf({ max, sum, weighted, hasImpossible: least === -Infinity });
  }

  #addressOf(row: number): number {
    return this.#at.address + row * this.#at.stride * 4;
  }
}
