/** Where code that is generated at the cursor goes, and with which indentation. */
import { endsInComment } from './comment-above.ts';
import type { IndentStyle } from './indenter.ts';

export interface CursorPlace {
  /** The text of the cursor's line, before the cursor. */
  readonly beforeOnLine: string;
  /** The nearest line above with something in it, or empty. */
  readonly lineAbove: string;
  readonly languageId: string;
  readonly unit: string;
  readonly eol: '\n' | '\r\n';
}

export interface InsertionPlace {
  /** Written first: a new line where the cursor stands behind a comment or an opening, and its indentation. */
  readonly lead: string;
  readonly style: IndentStyle;
}

const opensBlock = /(?:[:{([]|=>|\bthen|\bdo)\s*$/;

export function findInsertionPlace(place: CursorPlace): InsertionPlace {
  const { beforeOnLine, lineAbove, languageId, unit, eol } = place;
  const own = leadingSpace(beforeOnLine);
  if (beforeOnLine.trim() === '') {
    // On an empty line the code belongs to what stands above; where white space is, the user has chosen.
    const deeper = endsInComment(lineAbove, languageId) || !opensBlock.test(lineAbove) ? '' : unit;
    const base = beforeOnLine === '' ? leadingSpace(lineAbove) + deeper : own;
    return { lead: beforeOnLine === '' ? base : '', style: { base, unit, eol } };
  }
  if (endsInComment(beforeOnLine, languageId)) return { lead: eol + own, style: { base: own, unit, eol } };
  if (opensBlock.test(beforeOnLine)) {
    const base = own + unit;
    return { lead: eol + base, style: { base, unit, eol } };
  }
  return { lead: '', style: { base: own, unit, eol } };
}

function leadingSpace(line: string): string {
  return /^[ \t]*/.exec(line)?.[0] ?? '';
}
