/** The statistics of one head from its rows, one at a time, so that no map is kept: O(1) memory, O(visible keys) a row. */
import { AppError } from '../app-error.ts';
import { type AttentionKind, type AttentionMap, checkMap, positionOf, rowOf, visibleKeys } from './attention-map.ts';

export interface RowStatistics {
  readonly rows: number;
  /** Mean of -Σ p log2 p in bits; a learned sink is one more outcome. 0..log2(outcomes). Clark et al. 2019. */
  readonly entropyBits: number;
  /** Mean of entropy / log2(outcomes), 0..1, over rows with two outcomes or more; undefined where there are none. */
  readonly normalisedEntropy: number | undefined;
  /** Mean weight on the key before the query, over queries that see one. Undefined for cross attention. Clark 2019. */
  readonly previous: number | undefined;
  /** Mean weight on the query itself. Undefined for cross attention. */
  readonly self: number | undefined;
  /** Mean weight on key 0, over queries that see it; its `isSink` is `first > 0.3`. Gu et al. 2025. Not the learned sink. */
  readonly first: number | undefined;
  /** Queries that see key 0. */
  readonly firstRows: number;
  /** Mean over rows of Σ p |query - key| / Σ p, in tokens, over keys only. Undefined for cross. Vig and Belinkov 2019. */
  readonly meanDistance: number | undefined;
  /** Mean of the largest weight of a key, 0..1. Voita et al. 2019, special keys included. */
  readonly confidence: number;
  /** Mean mass on the learned sink; 0 where the head has none. */
  readonly learnedSink: number;
}

export interface RowStatisticsAccumulator {
  /**
   * `row`: float [visible key], weights of the keys from `firstKey` on. `query` counts in the keys of a self attention.
   * `sink`: mass on the head's learned sink, absent where it has none: a sink of mass 0 is an outcome all the same.
   */
  add(query: number, row: ArrayLike<number>, firstKey?: number, sink?: number): void;
  /** Throws `bad-input` where no row was added. */
  result(): RowStatistics;
}

/**
 * Statistics of a causal, bidirectional or cross head. All are means over rows, each row once.
 *
 * K. Clark et al. 2019, https://arxiv.org/abs/1906.04341 · X. Gu et al. 2025, https://arxiv.org/abs/2410.10781 ·
 * J. Vig, Y. Belinkov 2019, https://arxiv.org/abs/1906.04284 · E. Voita et al. 2019, https://arxiv.org/abs/1905.09418
 */
export function createRowStatistics({ kind }: { readonly kind: AttentionKind }): RowStatisticsAccumulator {
  const entropy = new Mean();
  const normalised = new Mean();
  const previous = new Mean();
  const self = new Mean();
  const first = new Mean();
  const distance = new Mean();
  const confidence = new Mean();
  const learned = new Mean();

  return {
    add(query, row, firstKey = 0, sink = undefined) {
      const { entropyBits, keyMass, largest, moment } = sumRow(row, query - firstKey, sink ?? 0);
      const outcomes = row.length + (sink === undefined ? 0 : 1);
      entropy.add(entropyBits);
      if (outcomes > 1) normalised.add(entropyBits / Math.log2(outcomes));
      confidence.add(largest);
      learned.add(sink ?? 0);
      if (firstKey === 0 && row.length > 0) first.add(row[0]!);
      if (kind === 'cross') return;
      const own = row[query - firstKey];
      const before = row[query - firstKey - 1];
      if (own !== undefined) self.add(own);
      if (before !== undefined) previous.add(before);
      if (keyMass > 0) distance.add(moment / keyMass);
    },
    result() {
      if (entropy.count === 0) throw new AppError('bad-input', 'There are no rows to summarise. Choose a longer text.');
      return {
        rows: entropy.count,
        entropyBits: entropy.value!,
        normalisedEntropy: normalised.value,
        previous: previous.value,
        self: self.value,
        first: first.value,
        firstRows: first.count,
        meanDistance: distance.value,
        confidence: confidence.value!,
        learnedSink: learned.value!,
      };
    },
  };
}

/** The statistics of a whole map. */
export function rowStatisticsOf(map: AttentionMap): RowStatistics {
  checkMap(map);
  const statistics = createRowStatistics({ kind: map.kind });
  for (let query = 0; query < map.queries; query++) {
    const { first } = visibleKeys(map, query);
    statistics.add(positionOf(map, query) ?? query, rowOf(map, query), first, map.sinks?.[query]);
  }
  return statistics.result();
}

/**
 * The entropy of one row in bits: -Σ p log2 p over the visible keys and the learned sink, 0..log2(outcomes).
 * Clark et al. 2019. Any kind of attention.
 */
export function rowEntropyBits(row: ArrayLike<number>, sink = 0): number {
  return sumRow(row, 0, sink).entropyBits;
}

/** `own`: where the query stands in its row, for the distances. */
function sumRow(row: ArrayLike<number>, own: number, sink: number) {
  let nats = sink > 0 ? -sink * Math.log(sink) : 0;
  let keyMass = 0;
  let largest = 0;
  let moment = 0;
  for (let index = 0; index < row.length; index++) {
    const weight = row[index]!;
    if (!(weight > 0)) continue;
    nats -= weight * Math.log(weight);
    keyMass += weight;
    moment += weight * Math.abs(own - index);
    if (weight > largest) largest = weight;
  }
  // Rounding can leave a row that sums to a little more than 1 below 0.
  return { entropyBits: Math.max(0, nats / Math.LN2), keyMass, largest, moment };
}

class Mean {
  count = 0;
  #sum = 0;

  add(value: number): void {
    this.count++;
    this.#sum += value;
  }

  get value(): number | undefined {
    return this.count === 0 ? undefined : this.#sum / this.count;
  }
}

/** Gu et al. 2025: a head whose mean weight on the first token is above this attends to a sink. */
const sinkEpsilon = 0.3;

/**
 * The share of heads whose mean weight on the first token is above ε, 0..1. Gu et al. 2025, ε = 0.3, k = 1; the paper
 * takes texts of 64 tokens, and the mean falls with the length of the text for a head without a sink. `first`: one value a head,
 * `RowStatistics.first`. Causal, bidirectional and cross. Mass on a learned sink is not counted.
 */
export function sinkRate(first: readonly number[], epsilon = sinkEpsilon): number {
  if (first.length === 0) throw new AppError('bad-input', 'There are no heads to rate. Choose at least one.');
  return first.filter((mass) => mass > epsilon).length / first.length;
}
