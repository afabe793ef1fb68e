/**
 * Completions of the last minutes. Typing along one keeps it without asking the model, deleting brings it back, and a
 * place where the model had nothing to say is not asked again.
 */
import type { Suggestion } from './filter.ts';

export interface CachePlace {
  /** The document. */
  readonly document: string;
  /** Before the cursor: all of it, or more than the end that is compared. */
  readonly prefix: string;
  /** After the cursor: what the completion had to fit. */
  readonly after: string;
}

interface Entry extends CachePlace {
  readonly suggestion: Suggestion;
}

const comparedCharacters = 1000;

export class CompletionCache {
  readonly #entries: Entry[] = []; // the newest last
  readonly #capacity: number;

  constructor(capacity = 64) {
    this.#capacity = capacity;
  }

  add({ document, prefix, after }: CachePlace, suggestion: Suggestion): void {
    this.#entries.push({ document, prefix: prefix.slice(-comparedCharacters), after, suggestion });
    if (this.#entries.length > this.#capacity) this.#entries.shift();
  }

  /** What is left of a completion at this place; of several the one asked for nearest to it, then the newest. */
  find(place: CachePlace): Suggestion | undefined {
    let best: { rest: Suggestion; typed: number } | undefined;
    for (const entry of this.#entries) {
      const found = restOf(entry, place);
      if (found && (!best || found.typed <= best.typed)) best = found;
    }
    return best?.rest;
  }

  clear(): void {
    this.#entries.length = 0;
  }
}

function restOf({ suggestion, ...asked }: Entry, place: CachePlace): { rest: Suggestion; typed: number } | undefined {
  if (suggestion.kind === 'none') {
    return typedAlong(asked, '', place) === 0 ? { rest: suggestion, typed: 0 } : undefined;
  }
  const typed = typedAlong(asked, suggestion.text, place);
  if (typed === undefined || typed === suggestion.text.length) return undefined;
  return { rest: { ...suggestion, text: suggestion.text.slice(typed) }, typed };
}

/** How much of `text` was typed between the place asked for and the place now; undefined when something else was. */
export function typedAlong(asked: CachePlace, text: string, now: CachePlace): number | undefined {
  if (asked.document !== now.document || asked.after !== now.after) return undefined;
  const end = now.prefix.slice(-comparedCharacters);
  for (let typed = 0; typed <= text.length; typed++)
    if ((asked.prefix + text.slice(0, typed)).slice(-comparedCharacters) === end) return typed;
  return undefined;
}
