/**
 * Fits streamed code to the place where it is written: the base indentation before every line but the first, the
 * document's own indentation unit and line ends. How the stream was cut into chunks never changes the result.
 */
import type { TextTransform } from './code-filter.ts';

export interface IndentStyle {
  /** What stands before every line but the first, whose place has it already. */
  readonly base: string;
  /** One level: a tab, or some spaces. */
  readonly unit: string;
  readonly eol: '\n' | '\r\n';
}

/** The columns of one level that a model's own indentation may have; anything else is alignment. */
const usualUnits = [2, 3, 4, 8];
/** A tab in a model's answer, in columns. */
const tabColumns = 4;

export class Indenter implements TextTransform {
  readonly isDone = false;
  readonly #style: IndentStyle;
  /** White space at the start of the line, until something else comes. */
  #lead: string | undefined = '';
  #isFirstLine = true;
  /** Columns before the first line of the answer: these are the model's, not levels of the code. */
  #sourceBase = 0;
  /** Columns of one level in the answer, once a deeper line has shown it. */
  #sourceUnit: number | undefined;

  constructor(style: IndentStyle) {
    this.#style = style;
  }

  push(chunk: string): string {
    let out = '';
    for (const unit of chunk) out += this.#take(unit);
    return out;
  }

  end(): string {
    return ''; // white space without anything after it is not worth keeping
  }

  #take(unit: string): string {
    if (unit === '\r') return '';
    if (unit === '\n') {
      this.#lead = '';
      this.#isFirstLine = false;
      return this.#style.eol;
    }
    if (this.#lead === undefined) return unit;
    if (unit === ' ' || unit === '\t') {
      this.#lead += unit;
      return '';
    }
    const lead = this.#lead;
    this.#lead = undefined;
    return this.#indent(lead) + unit;
  }

  #indent(lead: string): string {
    const columns = countColumns(lead);
    if (this.#isFirstLine) {
      this.#sourceBase = columns;
      return '';
    }
    const deeper = columns - this.#sourceBase;
    if (deeper <= 0) return this.#style.base;
    this.#sourceUnit ??= lead.includes('\t') ? tabColumns : usualUnits.includes(deeper) ? deeper : undefined;
    const sourceUnit = this.#sourceUnit ?? 4;
    const levels = Math.floor(deeper / sourceUnit);
    return this.#style.base + this.#style.unit.repeat(levels) + ' '.repeat(deeper % sourceUnit);
  }
}

function countColumns(lead: string): number {
  let columns = 0;
  for (const unit of lead) columns += unit === '\t' ? tabColumns - (columns % tabColumns) : 1;
  return columns;
}

/** One transform after another. */
export function chainTransforms(first: TextTransform, second: TextTransform): TextTransform {
  return {
    get isDone() {
      return first.isDone || second.isDone;
    },
    push: (chunk) => second.push(first.push(chunk)),
    end: () => second.push(first.end()) + second.end(),
  };
}

/** Only the line ends are changed, to the document's. */
export function createLineEnds(eol: '\n' | '\r\n'): TextTransform {
  return {
    isDone: false,
    push: (chunk) => chunk.replaceAll('\r', '').replaceAll('\n', eol),
    end: () => '',
  };
}
