/** The metrics once more, from their definitions and another way round: whole matrices, no accumulators, float64. */
import type { AttentionMap } from '../../../../src/shared/attention/attention-map.ts';
import { isSeen } from './random-maps.ts';

export interface Cell {
  readonly query: number;
  readonly key: number;
  readonly weight: number;
  /** Tokens from the key to the query. */
  readonly behind: number;
}

/** All visible cells. */
export function cellsOf(map: AttentionMap): Cell[] {
  return Array.from(map.weights, (weight, index) => {
    const [query, key] = [Math.floor(index / map.keys), index % map.keys];
    return { query, key, weight, behind: map.keys - map.queries + query - key };
  }).filter(({ query, key }) => isSeen(map, query, key));
}

export function mean(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function rowsOf(map: AttentionMap): Cell[][] {
  const cells = cellsOf(map);
  return Array.from({ length: map.queries }, (_, query) => cells.filter((cell) => cell.query === query));
}

const plogp = (p: number) => (p === 0 ? 0 : p * Math.log2(1 / p));

export function referenceStatistics(map: AttentionMap) {
  const rows = rowsOf(map);
  const cells = cellsOf(map);
  const isSelf = map.kind !== 'cross';
  const entropies = rows.map((row, query) =>
    [...row.map(({ weight }) => weight), map.sinks?.[query] ?? 0].reduce((sum, p) => sum + plogp(p), 0),
  );
  const outcomes = rows.map((row) => row.length + (map.sinks ? 1 : 0));
  const at = (distance: number) => cells.filter(({ behind }) => behind === distance).map(({ weight }) => weight);
  const seesFirst = cells.filter(({ key }) => key === 0).map(({ weight }) => weight);
  const distances = rows
    .map((row) => [
      row.reduce((sum, c) => sum + c.weight * Math.abs(c.behind), 0),
      row.reduce((sum, c) => sum + c.weight, 0),
    ])
    .filter(([, total]) => total! > 0)
    .map(([moment, total]) => moment! / total!);
  return {
    rows: map.queries,
    entropyBits: mean(entropies),
    normalisedEntropy: mean(
      entropies.flatMap((entropy, query) => (outcomes[query]! > 1 ? [entropy / Math.log2(outcomes[query]!)] : [])),
    ),
    previous: isSelf ? mean(at(1)) : undefined,
    self: isSelf ? mean(at(0)) : undefined,
    first: mean(seesFirst),
    firstRows: seesFirst.length,
    meanDistance: isSelf ? mean(distances) : undefined,
    confidence: mean(rows.map((row) => Math.max(...row.map(({ weight }) => weight)))),
    learnedSink: mean(rows.map((_, query) => map.sinks?.[query] ?? 0)),
  };
}

/** The row of the target in the product of matrices, which the metric never forms. */
export function referenceRollout(layers: readonly AttentionMap[], target: number, residual: number): number[] {
  const size = layers[0]!.keys;
  const indices = Array.from({ length: size }, (_, index) => index);
  let product: number[][] = indices.map((row) => indices.map((column) => (row === column ? 1 : 0)));
  for (const { weights } of layers) {
    const layer = indices.map((row) =>
      indices.map((column) => (1 - residual) * weights[row * size + column]! + (row === column ? residual : 0)),
    );
    product = layer.map((row) =>
      indices.map((column) => row.reduce((sum, value, index) => sum + value * product[index]![column]!, 0)),
    );
  }
  return product[target]!;
}

export function referenceLogSoftmax(logits: readonly number[]): number[] {
  const normaliser = logits.map((logit) => Math.exp(logit)).reduce((sum, value) => sum + value, 0);
  return logits.map((logit) => Math.log(Math.exp(logit) / normaliser));
}

/** Jensen-Shannon by entropies: H(middle) less the mean of the entropies. */
export function referenceJensenShannon(p: readonly number[], q: readonly number[]): number {
  const entropy = (row: readonly number[]) => row.reduce((sum, value) => sum + plogp(value), 0);
  return entropy(p.map((value, index) => (value + q[index]!) / 2)) - (entropy(p) + entropy(q)) / 2;
}

/** The length of a longest common subsequence by the textbook's table. */
export function commonLength(a: readonly unknown[], b: readonly unknown[]): number {
  const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++)
      table[i]![j] = a[i - 1] === b[j - 1] ? table[i - 1]![j - 1]! + 1 : Math.max(table[i - 1]![j]!, table[i]![j - 1]!);
  return table[a.length]![b.length]!;
}
