/** Brackets and quotes of a piece of one line: what it leaves open and what it closes of the text before it. */

export interface Balance {
  /** Brackets opened here and not closed here, the innermost last. */
  readonly open: readonly string[];
  /** Closing brackets and quotes that belong to something before, in order. */
  readonly closed: readonly string[];
  /** The quote of the string in which the piece ends. */
  readonly quote: string | undefined;
}

const closerOf: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };
const quotes = new Set(['"', "'", '`']);

/** `quote`: the string in which the piece begins. An apostrophe inside a word opens nothing. */
export function balanceOf(piece: string, quote?: string): Balance {
  const open: string[] = [];
  const closed: string[] = [];
  let isOwnString = false;
  for (let i = 0; i < piece.length; i++) {
    const character = piece[i] as string;
    if (quote) {
      if (character === '\\') i++;
      else if (character === quote) {
        if (!isOwnString) closed.push(quote);
        quote = undefined;
      }
    } else if (quotes.has(character) && !(character === "'" && /\w/.test(piece[i - 1] ?? ''))) {
      quote = character;
      isOwnString = true;
    } else if (closerOf[character]) open.push(character);
    else if (')]}'.includes(character)) {
      if (closerOf[open.at(-1) ?? ''] === character) open.pop();
      else closed.push(character);
    }
  }
  return { open, closed, quote };
}
