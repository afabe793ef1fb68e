/** Where an inspected text stands in a document that changes around it, and where a long text is cut. */

export interface TextChange {
  readonly rangeOffset: number;
  readonly rangeLength: number;
  readonly text: string;
}

/**
 * The new start of a text that stood at `start`, after changes before it; offsets of all changes count in the document
 * as it was before the first. Whether the text itself is still there is for the caller to compare.
 */
export function shiftStart(start: number, changes: readonly TextChange[]): number {
  return changes.reduce(
    (shifted, { rangeOffset, rangeLength, text }) =>
      rangeOffset + rangeLength <= start ? shifted + text.length - rangeLength : shifted,
    start,
  );
}

/** How many tokens to keep, at most `limit`, so that the text ends between two characters; at least 1. */
export function cutCount(tokens: readonly { readonly start: number; readonly end: number }[], limit: number): number {
  const most = Math.min(limit, tokens.length);
  for (let count = most; count > 1; count--) {
    const next = tokens[count];
    if (!next || next.start >= tokens[count - 1]!.end) return count;
  }
  return Math.min(1, most);
}
