/** Memory of the kernels for a test: full of NaN where nothing was put, so that what must not be read shows. */
import type { Kernels } from './kernels.ts';

const firstAddress = 65_536;
/** Floats that a kernel may read past the end of what it is given. */
const spare = 16;

/** A float among words. */
export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export class KernelMemory {
  readonly #memory: WebAssembly.Memory;
  #next = firstAddress;

  constructor({ memory }: Kernels) {
    this.#memory = memory;
    new Uint8Array(memory.buffer, firstAddress).fill(0xff);
  }

  /** The address of so many bytes, a multiple of 64. */
  allocate(bytes: number): number {
    const address = this.#next;
    this.#next = Math.ceil((address + bytes + spare * 4) / 64) * 64;
    if (this.#next > this.#memory.buffer.byteLength) throw new RangeError('The test needs more memory.');
    return address;
  }

  /** The address of a copy. */
  floats(data: ArrayLike<number>): number {
    const address = this.allocate(data.length * 4);
    new Float32Array(this.#memory.buffer, address, data.length).set(data);
    return address;
  }

  words(words: readonly (number | Float)[]): number {
    const address = this.allocate(words.length * 4);
    const view = new DataView(this.#memory.buffer, address);
    for (const [i, word] of words.entries())
      if (word instanceof Float) view.setFloat32(i * 4, word.value, true);
      else view.setInt32(i * 4, word, true);
    return address;
  }

  /** int32, to be read and written. */
  view(address: number, count: number): Int32Array {
    return new Int32Array(this.#memory.buffer, address, count);
  }

  write(address: number, data: ArrayLike<number>): void {
    new Float32Array(this.#memory.buffer, address, data.length).set(data);
  }

  read(address: number, count: number): Float32Array {
    return new Float32Array(this.#memory.buffer, address, count).slice();
  }

  halves(address: number, count: number): Uint16Array {
    return new Uint16Array(this.#memory.buffer, address, count).slice();
  }
}
