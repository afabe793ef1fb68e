/** How one head's attention differs between two texts: row by row, over the tokens that the texts share. */
import { AppError } from '../app-error.ts';
import { type AttentionMap, checkMap } from './attention-map.ts';
import { jensenShannonBits } from './distributions.ts';
import type { Alignment } from './edit-script.ts';

interface RowDifference {
  readonly queryA: number;
  readonly queryB: number;
  /** Jensen-Shannon divergence in bits, 0..1, over the aligned keys, the learned sink and each text's unaligned keys as one. */
  readonly divergenceBits: number;
  /** Mass on keys that the other text does not have, 0..1: always different, so part of the divergence. */
  readonly unalignedA: number;
  readonly unalignedB: number;
  readonly sinkA: number;
  readonly sinkB: number;
}

export interface MapDifference {
  readonly rows: readonly RowDifference[];
  /** Queries without a partner: not compared. */
  readonly unalignedQueriesA: readonly number[];
  readonly unalignedQueriesB: readonly number[];
  /** Mean over the compared rows; undefined where there are none. */
  readonly meanBits: number | undefined;
}

export interface MapAlignment {
  readonly queries: Alignment;
  /** The same as `queries` in self attention without a cache. */
  readonly keys: Alignment;
}

/**
 * Row-wise Jensen-Shannon divergence (J. Lin 1991, https://doi.org/10.1109/18.61115) of two maps, with rows and columns paired
 * by an edit script of their tokens (`alignTokens`). The outcomes of a row: each pair of aligned keys; the learned sink, which is
 * the same outcome in both; the keys that only A has, as one; those that only B has, as one. Lumping keys never makes the
 * divergence larger than it is. Any kind, both of the same.
 *
 * Throws `bad-input` for maps of two kinds and for pairs outside the maps or not rising.
 */
export function compareMaps(a: AttentionMap, b: AttentionMap, { queries, keys }: MapAlignment): MapDifference {
  checkMap(a);
  checkMap(b);
  if (a.kind !== b.kind) refuse(`A ${a.kind} and a ${b.kind} map have no rows in common.`);
  checkAlignment(queries, a.queries, b.queries);
  checkAlignment(keys, a.keys, b.keys);
  const rows = queries.map(([queryA, queryB]) =>
    compareRows({ map: a, query: queryA }, { map: b, query: queryB }, keys),
  );
  const pairedA = new Set(queries.map(([query]) => query));
  const pairedB = new Set(queries.map(([, query]) => query));
  return {
    rows,
    unalignedQueriesA: Array.from({ length: a.queries }, (_, query) => query).filter((query) => !pairedA.has(query)),
    unalignedQueriesB: Array.from({ length: b.queries }, (_, query) => query).filter((query) => !pairedB.has(query)),
    meanBits: rows.length === 0 ? undefined : rows.reduce((sum, row) => sum + row.divergenceBits, 0) / rows.length,
  };
}

interface Row {
  readonly map: AttentionMap;
  readonly query: number;
}

function compareRows(a: Row, b: Row, keys: Alignment): RowDifference {
  const weight = ({ map, query }: Row, key: number) => map.weights[query * map.keys + key]!;
  const alignedA = keys.map(([key]) => weight(a, key));
  const alignedB = keys.map(([, key]) => weight(b, key));
  const restOf = (row: Row, aligned: readonly number[]) => {
    let total = 0;
    for (let key = 0; key < row.map.keys; key++) total += weight(row, key);
    return Math.max(0, total - aligned.reduce((sum, each) => sum + each, 0));
  };
  const [unalignedA, unalignedB] = [restOf(a, alignedA), restOf(b, alignedB)];
  const [sinkA, sinkB] = [a.map.sinks?.[a.query] ?? 0, b.map.sinks?.[b.query] ?? 0];
  const divergenceBits = jensenShannonBits(
    scaled([...alignedA, sinkA, unalignedA, 0]),
    scaled([...alignedB, sinkB, 0, unalignedB]),
  );
  return { queryA: a.query, queryB: b.query, divergenceBits, unalignedA, unalignedB, sinkA, sinkB };
}

/** Float32 rows sum to 1 only nearly. */
function scaled(row: readonly number[]): number[] {
  const total = row.reduce((sum, each) => sum + each, 0);
  return row.map((each) => each / total);
}

function checkAlignment(alignment: Alignment, lengthA: number, lengthB: number): void {
  let [lastA, lastB] = [-1, -1];
  for (const [a, b] of alignment) {
    if (!(a > lastA && b > lastB && a < lengthA && b < lengthB)) refuse(`The pair ${a}, ${b} does not fit the maps.`);
    [lastA, lastB] = [a, b];
  }
}

function refuse(cause: string): never {
  throw new AppError('bad-input', `${cause} Align the tokens of both texts again.`);
}
