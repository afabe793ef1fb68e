/** Rows that the graph computes from positions alone, for every position of the context. */
import type { Compilation } from './compilation.ts';
import type { Known } from './known.ts';
import { unsupported } from './refusal.ts';

/** Positions that are computed at once, to bound the memory. */
const chunk = 1024;

export interface PositionTable {
  readonly positions: number;
  /** [position, width] */
  readonly data: Float32Array;
}

/** @throws AppError `model-unsupported` when a row depends on more than its position. */
export function positionTable(compilation: Compilation, known: Known, width: number, label: string): PositionTable {
  const rows = (past: number, tokens: number) => {
    const { data } = known.at({ tokens, past });
    if (data.length !== tokens * width) throw unsupported(`${label}: its tables are not by token`);
    return data;
  };
  compilation.limitPositions((positions) => rows(positions - 1, 1));
  const { positions } = compilation;
  compilation.hasComputedTables = true;
  const data = compilation.derived(`positions ${known.id} ${positions}`, () => {
    const table = new Float32Array(positions * width);
    for (let start = 0; start < positions; start += chunk)
      table.set(rows(start, Math.min(chunk, positions - start)), start * width);
    return table;
  });
  for (const [past, tokens] of [
    [0, positions > 1 ? 2 : 1],
    [positions - 1, 1],
  ] as const)
    if (rows(past, tokens).some((value, i) => value !== data[past * width + i]))
      throw unsupported(`${label}: its tables depend on more than the position`);
  return { positions, data };
}
