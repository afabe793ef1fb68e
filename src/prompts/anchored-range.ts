/** The range that a stream has written so far, followed through the edits that others make to the document. */

/** One replacement, in UTF-16 code units of the document as it was before the edit that it belongs to. */
export interface TextChange {
  readonly rangeOffset: number;
  readonly rangeLength: number;
  readonly text: string;
}

export class AnchoredRange {
  #start: number;
  #end: number;

  constructor(offset: number) {
    this.#start = offset;
    this.#end = offset;
  }

  get start(): number {
    return this.#start;
  }

  /** Where the next piece goes. */
  get end(): number {
    return this.#end;
  }

  grow(length: number): void {
    this.#end += length;
  }

  /**
   * Follows an edit by someone else. False when it touched what was written, or typed on right behind it: the stream
   * then has no place of its own any more. What comes before moves the range; what comes after does nothing.
   */
  follow(changes: readonly TextChange[]): boolean {
    let start = this.#start;
    const isEmpty = this.#end === this.#start;
    for (const { rangeOffset, rangeLength, text } of changes) {
      const changeEnd = rangeOffset + rangeLength;
      if (changeEnd <= this.#start) start += text.length - rangeLength;
      else if (isEmpty) start += rangeOffset < this.#start ? rangeOffset + text.length - this.#start : 0;
      else if (rangeOffset < this.#end || (rangeOffset === this.#end && text !== '')) return false;
    }
    this.#end += start - this.#start;
    this.#start = start;
    return true;
  }
}
