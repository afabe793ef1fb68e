/** Which positions of two sequences correspond: a longest common subsequence by Myers' O(ND) algorithm. */
import { AppError } from '../app-error.ts';

/** Positions that correspond, rising in both. */
export type Alignment = readonly (readonly [a: number, b: number])[];

/** The trace of all rounds is kept: D²/2 numbers. */
const editLimit = 4096;

/**
 * A shortest edit script's matches. E. Myers 1986, https://doi.org/10.1007/BF01840446: greedy furthest-reaching paths; O((N+M)D)
 * time, O(D²) memory, D being the number of insertions and deletions. Equal tokens at both ends are matched first.
 *
 * Throws `bad-input` where the texts differ in more than 4,096 tokens.
 */
export function alignTokens<T>(a: readonly T[], b: readonly T[]): Alignment {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const head = Array.from({ length: start }, (_, index) => [index, index] as const);
  const middle = alignMiddle(a.slice(start, a.length - end), b.slice(start, b.length - end));
  const tail = Array.from({ length: end }, (_, index) => [a.length - end + index, b.length - end + index] as const);
  return [...head, ...middle.map(([x, y]) => [x + start, y + start] as const), ...tail];
}

function alignMiddle<T>(a: readonly T[], b: readonly T[]): Alignment {
  const trace: Int32Array[] = [];
  // reach[edits + k]: the furthest x on the diagonal k = x - y, for k of -edits..edits; one round more on each side.
  let reach: Int32Array = new Int32Array(3);
  for (let edits = 0; edits <= Math.min(editLimit, a.length + b.length); edits++) {
    const next = new Int32Array(2 * edits + 3);
    for (let k = -edits; k <= edits; k += 2) {
      let x = edits === 0 ? 0 : stepTo(reach, edits, k);
      while (x < a.length && x - k < b.length && x - k >= 0 && a[x] === b[x - k]) x++;
      next[edits + 1 + k] = x;
      if (x < a.length || x - k < b.length) continue;
      return backtrack(trace, a.length, b.length);
    }
    trace.push(next);
    reach = next;
  }
  throw new AppError('bad-input', `The texts differ in more than ${editLimit} tokens. Compare shorter parts.`);
}

/** Where a path of one more edit arrives on diagonal k: down from k + 1 (an insertion) or right from k - 1 (a deletion). */
function stepTo(reach: Int32Array, edits: number, k: number): number {
  const isDown = comesDown(reach, edits, k);
  return isDown ? reach[edits + k + 1]! : reach[edits + k - 1]! + 1;
}

/** `reach` is of round edits - 1, so that its diagonal k stands at edits + k. */
function comesDown(reach: Int32Array, edits: number, k: number): boolean {
  return k === -edits || (k !== edits && reach[edits + k - 1]! < reach[edits + k + 1]!);
}

function backtrack(trace: readonly Int32Array[], lengthA: number, lengthB: number): Alignment {
  const matches: [number, number][] = [];
  let [x, y] = [lengthA, lengthB];
  for (let edits = trace.length; edits >= 0; edits--) {
    const reach = trace[edits - 1];
    const k = x - y;
    const isDown = reach ? comesDown(reach, edits, k) : false;
    const previousX = reach ? reach[edits + (isDown ? k + 1 : k - 1)]! : 0;
    const previousY = reach ? previousX - (isDown ? k + 1 : k - 1) : 0;
    const [enterX, enterY] = reach ? [previousX + (isDown ? 0 : 1), previousY + (isDown ? 1 : 0)] : [0, 0];
    while (x > enterX && y > enterY) matches.push([--x, --y]);
    [x, y] = [previousX, previousY];
  }
  return matches.reverse();
}
