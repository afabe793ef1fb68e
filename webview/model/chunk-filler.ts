/** Joins the pieces of a stream, large or small, to buffers of one size that can be given away. */
import { chunkBytes } from '../../src/shared/engine-contract.ts';

export class ChunkFiller {
  readonly #sizeBytes: number;
  #chunk = new Uint8Array(0);
  #used = 0;

  constructor(sizeBytes: number = chunkBytes) {
    this.#sizeBytes = sizeBytes;
  }

  /** Copies the piece; yields the buffers that became full. */
  *add(piece: Uint8Array): Generator<ArrayBuffer> {
    for (let rest = piece; rest.length > 0; ) {
      if (this.#used === 0) this.#chunk = new Uint8Array(this.#sizeBytes);
      const part = rest.subarray(0, this.#sizeBytes - this.#used);
      this.#chunk.set(part, this.#used);
      this.#used += part.length;
      rest = rest.subarray(part.length);
      if (this.#used === this.#sizeBytes) yield this.#take();
    }
  }

  /** Yields what is left, in a buffer of its size. */
  *finish(): Generator<ArrayBuffer> {
    const length = this.#used;
    if (length > 0) yield this.#take().slice(0, length);
  }

  #take(): ArrayBuffer {
    const { buffer } = this.#chunk;
    this.#chunk = new Uint8Array(0);
    this.#used = 0;
    return buffer;
  }
}
