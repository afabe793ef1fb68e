/** Where the keyboard moves in a grid of patches with a line of other tokens above it. Pure. */

export interface PatchRows {
  readonly rows: number;
  readonly columns: number;
  /** Tokens before the patches. */
  readonly firstPatch: number;
}

/** Undefined for any other key. Home and End go to the ends of a row. */
export function tokenAfterKey(
  token: number,
  { rows, columns, firstPatch }: PatchRows,
  pressed: string,
): number | undefined {
  const last = firstPatch + rows * columns - 1;
  const isBefore = token < firstPatch;
  const rowStart = isBefore ? 0 : token - ((token - firstPatch) % columns);
  const rowEnd = isBefore ? firstPatch - 1 : rowStart + columns - 1;
  const up = isBefore ? token : token - columns >= firstPatch ? token - columns : firstPatch > 0 ? 0 : token;
  const down = isBefore ? firstPatch : token + columns <= last ? token + columns : token;
  const moves: Record<string, number> = {
    ArrowLeft: Math.max(0, token - 1),
    ArrowRight: Math.min(last, token + 1),
    ArrowUp: up,
    ArrowDown: down,
    Home: rowStart,
    End: rowEnd,
  };
  return moves[pressed];
}
