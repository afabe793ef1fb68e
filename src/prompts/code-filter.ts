/**
 * Keeps the code of a model's answer and drops what surrounds it, while the answer streams: opening remarks, Markdown
 * fences, closing remarks, blank lines at both ends. How the stream was cut into chunks never changes the result.
 */
import { couldBecomeChatter, isClosingChatter, isOpeningChatter } from './chatter.ts';

/** Text in, text out, any part of it later: what `push` returns may lag behind, `end` returns the rest. */
export interface TextTransform {
  push(chunk: string): string;
  end(): string;
  /** Nothing that is still to come can matter: the generation may be stopped. */
  readonly isDone: boolean;
}

/** `opening`: nothing kept yet. `fenced`: until the fence closes. `bare`: code without a fence. */
type Phase = 'opening' | 'fenced' | 'bare' | 'closed';

export class CodeFilter implements TextTransform {
  #phase: Phase = 'opening';
  /** The fence that is open, also when the prompt opened it. */
  #fence: string | undefined;
  /** The current line, as long as it may still turn out to be a fence or a remark. */
  #line = '';
  /** The current line is code; its characters pass as they come. */
  #isFlowing = false;
  /** Backticks in a flowing line: a fence when the line ends with three. */
  #ticks = '';
  /** Line ends, kept back until a line with something in it follows. */
  #gap = '';
  #isAfterBlank = false;

  /** `startsInside`: the prompt itself ends with an open fence of three backticks. */
  constructor({ startsInside }: { readonly startsInside: boolean }) {
    if (startsInside) this.#fence = '```';
  }

  get isDone(): boolean {
    return this.#phase === 'closed';
  }

  push(chunk: string): string {
    let out = '';
    for (let index = 0; index < chunk.length && !this.isDone; index++) out += this.#take(chunk[index] as string);
    return out;
  }

  end(): string {
    return this.isDone ? '' : this.#endLine();
  }

  #take(unit: string): string {
    if (unit === '\r') return '';
    if (unit === '\n') return this.#endLine();
    if (this.#isFlowing) return this.#flow(unit);
    this.#line += unit;
    return this.#mayWait() ? '' : this.#startFlowing();
  }

  #flow(unit: string): string {
    if (unit === '`') {
      this.#ticks += unit;
      return '';
    }
    const out = this.#ticks + unit;
    this.#ticks = '';
    return out;
  }

  /** Whether the line, as far as it is known, may still be something other than code. */
  #mayWait(): boolean {
    const text = this.#line.trimStart();
    if (text === '' || text.startsWith('```') || text.startsWith('~~~')) return true;
    if (['`', '``', '~', '~~'].includes(text)) return true;
    if (this.#phase === 'opening') return couldBecomeChatter(text, 'opening');
    return this.#mayBeClosingRemark() && couldBecomeChatter(text, 'closing');
  }

  #mayBeClosingRemark(): boolean {
    return this.#phase === 'bare' && this.#isAfterBlank && !/^\s/.test(this.#line);
  }

  #startFlowing(): string {
    if (this.#phase === 'opening') this.#phase = this.#fence === undefined ? 'bare' : 'fenced';
    const out = this.#gap + this.#line;
    this.#gap = '';
    this.#line = '';
    this.#isFlowing = true;
    this.#isAfterBlank = false;
    return out;
  }

  #endLine(): string {
    const out = this.#isFlowing ? this.#endFlowing() : this.#judge(this.#line);
    this.#isFlowing = false;
    this.#line = '';
    return out;
  }

  #endFlowing(): string {
    const ticks = this.#ticks;
    this.#ticks = '';
    this.#gap = '\n';
    if (ticks.length < 3 || this.#fence === undefined) return ticks;
    this.#phase = 'closed';
    return '';
  }

  /** A whole line that had to be seen to its end. */
  #judge(line: string): string {
    const text = line.trim();
    if (text === '') {
      if (this.#phase !== 'opening') this.#gap += '\n';
      this.#isAfterBlank = true;
      return '';
    }
    const fence = /^(`{3,}|~{3,})/.exec(text)?.[1];
    if (this.#phase === 'opening') {
      if (fence !== undefined) return this.#openFence(fence, text);
      if (isOpeningChatter(text)) return '';
    } else if (fence !== undefined && this.#closes(fence)) {
      this.#phase = 'closed';
      return '';
    } else if (this.#mayBeClosingRemark() && isClosingChatter(text)) {
      this.#phase = 'closed';
      return '';
    }
    const out = this.#startFlowing();
    this.#gap = '\n';
    return out;
  }

  /** A fence before any code; the one that the prompt opened is opened again by its info string, else closed. */
  #openFence(fence: string, line: string): string {
    this.#phase = this.#fence !== undefined && line === fence ? 'closed' : 'fenced';
    this.#fence = fence;
    return '';
  }

  #closes(fence: string): boolean {
    return this.#fence === undefined || fence.startsWith(this.#fence);
  }
}
