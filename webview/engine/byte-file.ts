/** A file in memory as the chunks in which it came, each of which can be given back before the others. */
import { AppError } from '../../src/shared/app-error.ts';

/** ES2024; in Chromium since version 114. */
interface WithTransfer {
  transfer?(newLength: number): ArrayBuffer;
}

export class ByteFile {
  readonly sizeBytes: number;
  /** One behind the other; undefined once released. */
  #chunks: (ArrayBuffer | undefined)[];
  /** Where each chunk begins, and the size of the file at the end. */
  #offsets: number[];

  /** The chunks belong to the file from now on. */
  constructor(chunks: readonly ArrayBuffer[]) {
    this.#chunks = [...chunks];
    this.#offsets = [0];
    for (const chunk of chunks) this.#offsets.push(this.#offsets.at(-1)! + chunk.byteLength);
    this.sizeBytes = this.#offsets.at(-1)!;
  }

  /** A file of one chunk: the buffer of `bytes` if that holds nothing else, else a copy. */
  static of(bytes: Uint8Array): ByteFile {
    const { buffer } = bytes;
    const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength;
    return new ByteFile([isWhole ? buffer : new Uint8Array(bytes).buffer]);
  }

  /**
   * `length` bytes from `offset` on: a view where one chunk has them all, else a copy. A view is valid until its chunk
   * is released, by `release` or `whole`, and is as aligned as the offset is in its chunk.
   *
   * @throws AppError `model-damaged` where the file does not reach that far.
   */
  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const end = offset + length;
    if (!(Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0))
      throw new AppError('model-damaged', `The graph asks for ${length} bytes at ${offset}. Copy the model again.`);
    if (end > this.sizeBytes) throw this.#tooShort(offset, end);
    if (length === 0) return new Uint8Array(0);
    const first = this.#indexAt(offset);
    const start = offset - this.#offsets[first]!;
    if (end <= this.#offsets[first + 1]!) return new Uint8Array(this.#chunk(first), start, length);
    const bytes = new Uint8Array(length);
    for (let index = first, at = offset; at < end; index++) {
      const from = at - this.#offsets[index]!;
      const count = Math.min(end, this.#offsets[index + 1]!) - at;
      bytes.set(new Uint8Array(this.#chunk(index), from, count), at - offset);
      at += count;
    }
    return bytes;
  }

  /** All bytes, joined once: chunks are released as they are copied. */
  whole(): Uint8Array<ArrayBuffer> {
    if (this.#chunks.length !== 1) {
      const joined = this.#allocate();
      for (let index = 0; index < this.#chunks.length; index++) {
        joined.set(new Uint8Array(this.#chunk(index)), this.#offsets[index]!);
        this.#free(index);
      }
      this.#chunks = [joined.buffer];
      this.#offsets = [0, this.sizeBytes];
    }
    return new Uint8Array(this.#chunk(0));
  }

  /** Frees for good the chunks that lie wholly before the offset. */
  release(upTo: number): void {
    for (let index = 0; index < this.#chunks.length && this.#offsets[index + 1]! <= upTo; index++) this.#free(index);
  }

  /** The chunk that holds the byte. */
  #indexAt(offset: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#offsets[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #chunk(index: number): ArrayBuffer {
    const chunk = this.#chunks[index];
    if (chunk) return chunk;
    throw new AppError('engine-failed', 'Bytes of a model file are gone that are still needed. Restart the engine.');
  }

  /** A buffer that is transferred is freed at once, and not when it is collected some day. */
  #free(index: number): void {
    (this.#chunks[index] as WithTransfer | undefined)?.transfer?.(0);
    this.#chunks[index] = undefined;
  }

  #allocate(): Uint8Array<ArrayBuffer> {
    try {
      return new Uint8Array(this.sizeBytes);
    } catch (cause) {
      const megabytes = Math.ceil(this.sizeBytes / 2 ** 20);
      const message = `A model file of ${megabytes} MB does not fit the memory. Close other windows, or choose a smaller model.`;
      throw new AppError('out-of-memory', message, { cause });
    }
  }

  #tooShort(offset: number, end: number): AppError {
    const message = `A model file is too short: it has ${this.sizeBytes} bytes, the graph asks for ${offset} to ${end}.`;
    return new AppError('model-damaged', `${message} Copy it again, and reload the model.`);
  }
}
