/**
 * Finds the added tokens of a tokenizer in a text, as Hugging Face's tokenizers do: leftmost first, the longest of
 * those that start at one place, with the white space that `lstrip` and `rstrip` take along.
 */
import type { AddedToken } from './tokenizer-json.ts';

/** A stretch of text; `token` is present when the stretch is one added token. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly token?: AddedToken;
}

export class AddedTokenFinder {
  readonly #pattern: RegExp | undefined;
  readonly #tokens = new Map<string, AddedToken>();

  /** `spell` gives what a token looks like in the text that is searched; its content when left out. */
  constructor(tokens: readonly AddedToken[], spell: (token: AddedToken) => string = (token) => token.content) {
    for (const token of tokens) if (spell(token)) this.#tokens.set(spell(token), token);
    const contents = [...this.#tokens.keys()].sort((a, b) => b.length - a.length);
    if (contents.length > 0) this.#pattern = new RegExp(contents.map(escapePattern).join('|'), 'g');
  }

  /** The whole text as stretches, in order, none of them empty. */
  split(text: string): Stretch[] {
    const stretches: Stretch[] = [];
    let position = 0;
    for (const match of this.#pattern ? text.matchAll(this.#pattern) : []) {
      const token = this.#tokens.get(match[0]);
      let start = match.index;
      let end = start + match[0].length;
      if (!token || start < position) continue; // inside the white space that the one before took
      if (token.single_word && !standsAlone(text, start, end)) continue;
      if (token.lstrip) start = position + text.slice(position, start).trimEnd().length;
      if (token.rstrip) end += text.length - end - text.slice(end).trimStart().length;
      if (start > position) stretches.push({ start: position, end: start });
      stretches.push({ start, end, token });
      position = end;
    }
    if (position < text.length) stretches.push({ start: position, end: text.length });
    return stretches;
  }
}

function standsAlone(text: string, start: number, end: number): boolean {
  const isWord = (character: string | undefined) => character !== undefined && /[\p{L}\p{N}_]/u.test(character);
  return !isWord(text[start - 1]) && !isWord(text[end]);
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
