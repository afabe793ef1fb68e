/** A sequence's past in ONNX Runtime tensors. Crop and fork cost nothing until the next forward pass. */
import type { Cache } from '../decoder.ts';
import type { KvBlock } from './kv-block.ts';
import type { Ort } from './ort-build.ts';

export class OrtCache implements Cache {
  #block: KvBlock | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A block held by several caches is accounted for in equal parts. */
  get sizeBytes(): number {
    return this.#block ? Math.ceil(this.#block.sizeBytes / this.#block.references) : 0;
  }

  crop(length: number): void {
    if (!(length >= 0 && length <= this.#length))
      throw new RangeError(`A cache of ${this.#length} tokens cannot be cropped to ${length}.`);
    this.#length = length;
    if (length === 0) this.replace(undefined);
  }

  fork(): OrtCache {
    const fork = new OrtCache();
    fork.#block = this.#block?.retain();
    fork.#length = this.#length;
    return fork;
  }

  dispose(): void {
    this.replace(undefined);
  }

  /** Exactly `length` tokens, or nothing for an empty cache. The cache keeps it. */
  block(ort: typeof Ort): KvBlock | undefined {
    if (this.#block && this.#block.length !== this.#length) this.replace(this.#block.cropped(this.#length, ort));
    return this.#block;
  }

  /** Takes over a block's reference. */
  replace(block: KvBlock | undefined): void {
    this.#block?.release();
    this.#block = block;
    this.#length = block?.length ?? 0;
  }
}
