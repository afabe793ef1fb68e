/** Turns the bytes of tokens into text as they come; a character that is split over tokens comes with its last one. */
export class TextStream {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  /** `before` are bytes that came earlier: an unfinished character at their end is finished by what follows. */
  constructor(before: Uint8Array = new Uint8Array(0)) {
    this.#decoder.decode(before, { stream: true });
  }

  push(bytes: Uint8Array): string {
    return this.#decoder.decode(bytes, { stream: true });
  }

  /** What is left of an unfinished character: U+FFFD or nothing. */
  end(): string {
    return this.#decoder.decode();
  }
}
