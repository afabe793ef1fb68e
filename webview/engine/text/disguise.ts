/**
 * Lets special tokens that a user typed pass through a chat template without being taken for the template's own.
 *
 * The first code unit of each is replaced by one that none of the texts contains, so that nothing moves and nothing
 * matches; `reveal` puts it back. Which ones were found is kept for the user to be told.
 */

/** Characters that no text should contain (noncharacters, then the private use area). */
function* spareCharacters(): Generator<string, undefined> {
  for (let code = 0xfdd0; code <= 0xfdef; code++) yield String.fromCharCode(code);
  for (let code = 0xe000; code <= 0xf8ff; code++) yield String.fromCharCode(code);
}

export class Disguise {
  /** A character that none of the texts contains, to mark a place with. */
  readonly mark: string;
  readonly #specials: readonly string[];
  readonly #standIns = new Map<string, string>();
  readonly #originals = new Map<string, string>();
  readonly #found = new Set<string>();

  constructor(specials: readonly string[], texts: readonly string[]) {
    this.#specials = specials;
    const spare = spareCharacters();
    const takeSpare = (): string => {
      const { value } = spare.next();
      if (!value) throw new Error('The text uses every private character of Unicode.');
      return texts.some((text) => text.includes(value)) ? takeSpare() : value;
    };
    this.mark = takeSpare();
    for (const first of new Set(specials.map((special) => special.charAt(0)))) {
      const standIn = takeSpare();
      this.#standIns.set(first, standIn);
      this.#originals.set(standIn, first);
    }
  }

  /** Special tokens met so far, in the order in which they were. */
  get found(): string[] {
    return [...this.#found];
  }

  hide(text: string): string {
    const places = new Set<number>();
    for (const special of this.#specials) {
      for (let at = text.indexOf(special); at >= 0; at = text.indexOf(special, at + 1)) places.add(at);
    }
    if (places.size === 0) return text;
    const units = text.split('');
    for (const at of [...places].sort((a, b) => a - b)) {
      for (const special of this.#specials) if (text.startsWith(special, at)) this.#found.add(special);
      units[at] = this.#standIns.get(text.charAt(at)) ?? text.charAt(at);
    }
    return units.join('');
  }

  reveal(text: string): string {
    let revealed = text;
    for (const [standIn, original] of this.#originals) revealed = revealed.replaceAll(standIn, original);
    return revealed;
  }
}
