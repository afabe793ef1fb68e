/**
 * Turns what the model wrote into what may be shown at the cursor: one line that fits what stands after it, or the
 * reason why nothing is shown. Only ever cuts; never invents.
 */
import { balanceOf } from './brackets.ts';

/** The lines around the cursor, without their line breaks. */
export interface Surroundings {
  /** Of the cursor's line, before and after the cursor. */
  readonly linePrefix: string;
  readonly lineSuffix: string;
  /** The next line that is not blank; empty at the end of the document. */
  readonly nextLine: string;
}

export type Suggestion =
  /** `replaces`: characters after the cursor that the text stands for as well. */
  | { readonly kind: 'text'; readonly text: string; readonly replaces: number }
  | { readonly kind: 'none'; readonly reason: string };

export const none = (reason: string): Suggestion => ({ kind: 'none', reason });

/** Why nothing should be suggested at this place at all. */
export function refusePlace({ linePrefix, lineSuffix }: Surroundings, isExplicit = false): string | undefined {
  if (isExplicit) return undefined;
  if (/^[\p{L}\p{N}_]/u.test(lineSuffix)) {
    return /[\p{L}\p{N}_]$/u.test(linePrefix) ? 'the cursor is inside a word' : 'a word follows the cursor';
  }
  return undefined;
}

export function filterSuggestion(answer: string, place: Surroundings, isCutShort = false): Suggestion {
  let text = answer.split(/[\r\n]/, 1)[0] as string;
  if (isCutShort && text.length === answer.length) text = text.replace(/[\p{L}\p{N}_]+$/u, '');
  text = text.trimEnd();
  if (text === '') return none('the model ends the line here');
  if (isDegenerate(text)) return none('the model repeats itself');
  return place.lineSuffix.trim() === '' ? atLineEnd(text, place) : beforeText(text, place);
}

function atLineEnd(text: string, place: Surroundings): Suggestion {
  const kept = dropClosedByNextLine(text, place);
  if (kept === '') return none('the next line closes this already');
  if (isNextLine(place.linePrefix + kept, place)) return none('the next line says the same');
  return { kind: 'text', text: kept, replaces: 0 };
}

/** `foo(a` over a line `)` with the same indentation: the bracket is closed there. */
function dropClosedByNextLine(text: string, { linePrefix, nextLine }: Surroundings): string {
  const closers = /^[)\]}]+/.exec(nextLine.trim())?.[0];
  if (!closers || indentOf(linePrefix) !== indentOf(nextLine)) return text;
  const overlap = overlapOf(text, closers);
  const kept = text.slice(0, text.length - overlap).trimEnd();
  const quote = balanceOf(linePrefix).quote;
  return overlap > 0 && closesNothingOfItsOwn(text, kept, quote) && balanceOf(linePrefix).open.length > 0 ? kept : text;
}

function beforeText(text: string, place: Surroundings): Suggestion {
  const { lineSuffix, linePrefix } = place;
  const after = lineSuffix.trimEnd();
  const quote = balanceOf(linePrefix).quote;
  const { closed } = balanceOf(text, quote);
  const isOnlyClosing = /^[)\]}"'`;,\s]+$/.test(after);
  // "x);" before the ")" that the editor closed by itself: the text stands for that ")" too.
  if (isOnlyClosing && !text.endsWith(after) && isSubsequence(after, closed.join('') + text.replace(/[^;,\s]/g, '')))
    return { kind: 'text', text, replaces: lineSuffix.length };
  const trimmed = dropOverlap(text, after, quote);
  if (trimmed === undefined && !isOnlyClosing) return none('it does not lead to the text after the cursor');
  return inFrontOf(trimmed ?? text, after, place);
}

function inFrontOf(text: string, after: string, place: Surroundings): Suggestion {
  if (text.trim() === '') return none('the text after the cursor says it already');
  if (isNextLine(place.linePrefix + text + after, place)) return none('the next line says the same');
  return { kind: 'text', text, replaces: 0 };
}

/** The text without what already stands after the cursor; undefined when it does not lead there. */
function dropOverlap(text: string, after: string, quote: string | undefined): string | undefined {
  const whole = text.indexOf(after);
  const candidates = [whole >= 0 ? text.slice(0, whole) : undefined];
  for (let size = overlapOf(text, after); size > 0; size--)
    if (text.endsWith(after.slice(0, size))) candidates.push(text.slice(0, text.length - size));
  return candidates.find(
    (kept) => kept !== undefined && closesNothingOfItsOwn(text.slice(0, kept.length + after.length), kept, quote),
  );
}

/** How many characters at the end of `text` begin `after`, at most. */
function overlapOf(text: string, after: string): number {
  for (let size = Math.min(text.length, after.length); size > 0; size--)
    if (text.endsWith(after.slice(0, size))) return size;
  return 0;
}

/** Whether what was cut off `text` closes only what was open before it. */
function closesNothingOfItsOwn(text: string, kept: string, quote: string | undefined): boolean {
  const [all, left] = [balanceOf(text, quote), balanceOf(kept, quote)];
  return left.open.length <= all.open.length && (left.quote === undefined || left.quote === quote);
}

function isNextLine(line: string, { nextLine }: Surroundings): boolean {
  return nextLine.trim() !== '' && line.trim() === nextLine.trim();
}

function isSubsequence(part: string, whole: string): boolean {
  let at = 0;
  for (const character of whole) if (character === part[at]) at++;
  return at === part.length;
}

function indentOf(line: string): string {
  return /^\s*/.exec(line)?.[0] ?? '';
}

/**
 * The same words five times in a row. Rows of one character ("-----") are lines that people draw, and rows of numbers
 * are data.
 */
export function isDegenerate(text: string): boolean {
  for (let size = 2; size * 5 <= text.length && size <= 40; size++)
    for (let start = 0; start + size * 5 <= text.length; start++) {
      const unit = text.slice(start, start + size);
      if (/\p{L}/u.test(unit) && text.startsWith(unit.repeat(5), start) && new Set(unit).size > 1) return true;
    }
  return false;
}
