/** One WebAssembly memory with the kernels in it, and who has which part of it. */
import { AppError } from '../../../../src/shared/app-error.ts';
import { type StartThread, ThreadPool, threadImports } from './thread-pool.ts';

const wasmPage = 65_536;
/** 4 MB: each step makes a new ArrayBuffer, which V8 counts in full until it collects the old one. */
const growPages = 64;
/** The stub of AssemblyScript uses nothing below; 0 must stay "no address". */
const firstAddress = 65_536;
/** Kernels may read and write a few vectors past the end of what they are given. */
const spareBytes = 64;

export interface KernelExports {
  run(plan: number, rows: number, state: number): void;
  /** Of the scratch for activations. */
  quantisedBytes(rows: number, columns: number): number;
  /** Writes four float64: assembly/logits.ts. */
  describeRow(logits: number, count: number, to: number): void;
  readonly [name: string]: (...args: number[]) => unknown;
}

export interface ThreadOptions {
  /** Threads that compute, the caller's among them. */
  readonly count: number;
  /** The build for threads that share a memory. */
  readonly kernels: BufferSource;
  readonly start: StartThread;
}

export class Machine {
  readonly memory: WebAssembly.Memory;
  readonly exports: KernelExports;
  /** Threads that compute. */
  readonly threads: number;
  readonly #pool: ThreadPool | undefined;
  #next: number;

  private constructor(memory: WebAssembly.Memory, exports: KernelExports, pool?: ThreadPool) {
    this.memory = memory;
    this.exports = exports;
    this.#pool = pool;
    this.threads = pool?.places.offsets.length ?? 1;
    this.#next = pool ? firstAddress + this.threads * wasmPage : firstAddress;
  }

  /**
   * Takes the first of the builds that this platform can compile.
   * @throws AppError `engine-failed` when none can be.
   */
  static async open(builds: { readonly relaxed?: BufferSource; readonly plain?: BufferSource }): Promise<Machine> {
    let cause: unknown;
    for (const bytes of [builds.relaxed, builds.plain]) {
      if (!bytes) continue;
      try {
        const memory = new WebAssembly.Memory({ initial: firstAddress / wasmPage, maximum: 65_536 });
        const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
        return new Machine(memory, instance.exports as unknown as KernelExports);
      } catch (thrown) {
        cause = thrown;
      }
    }
    const message = 'The kernels of Glasshead could not be compiled here. Update the browser or VS Code.';
    throw new AppError('engine-failed', message, { cause });
  }

  /**
   * With threads beside the caller's. They end with `close`, or with the worker that opened the machine.
   * @throws AppError `engine-failed` when they cannot be started.
   */
  static async openThreads({ count, kernels, start }: ThreadOptions): Promise<Machine> {
    // One page for what the threads tell each other, and one for the buffers of each but the caller's.
    const initial = firstAddress / wasmPage + count;
    const memory = new WebAssembly.Memory({ initial, maximum: 65_536, shared: true });
    const offsets = Array.from({ length: count }, (_, index) => (index === 0 ? 0 : firstAddress + index * wasmPage));
    const places = { control: firstAddress, offsets };
    const module = await WebAssembly.compile(kernels);
    const { exports } = await WebAssembly.instantiate(module, threadImports(memory, places, 0));
    const pool = await ThreadPool.start(start, module, memory, places);
    return new Machine(memory, exports as unknown as KernelExports, pool);
  }

  /** @throws AppError `engine-failed` when a thread is gone; the machine is then of no more use. */
  run(plan: number, rows: number, state: number): void {
    this.#pool?.check();
    try {
      this.exports.run(plan, rows, state);
    } catch (cause) {
      if (!this.#pool) throw cause;
      const message =
        'A thread of the engine does not answer. If it happens again, set "Threads" to 1 in the settings.';
      throw new AppError('engine-failed', message, { cause });
    }
  }

  /** Ends the threads. */
  close(): void {
    this.#pool?.end();
  }

  get sizeBytes(): number {
    return this.memory.buffer.byteLength;
  }

  /**
   * Zeroed bytes at a multiple of 64, never freed.
   * @throws AppError `out-of-memory` when the platform gives no more.
   */
  allocate(sizeBytes: number): number {
    const address = this.#next;
    const end = address + sizeBytes + spareBytes;
    const missing = end - this.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.memory.grow(Math.ceil(missing / wasmPage / growPages) * growPages);
      } catch (cause) {
        const size = `${Math.ceil(end / 2 ** 20).toLocaleString('en')} MB`;
        throw new AppError(
          'out-of-memory',
          `The model needs ${size} of memory, which this editor does not get. Close other windows, or shorten the text.`,
          { cause },
        );
      }
    }
    this.#next = Math.ceil(end / 64) * 64;
    return address;
  }

  /** Views go stale when anything is allocated. */
  floats(address: number, length: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.memory.buffer as ArrayBuffer, address, length);
  }

  words(address: number, length: number): Int32Array<ArrayBuffer> {
    return new Int32Array(this.memory.buffer as ArrayBuffer, address, length);
  }

  bytes(address: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.memory.buffer as ArrayBuffer, address, length);
  }

  /** The address of a copy. */
  store(data: Float32Array | Int32Array): number {
    const address = this.allocate(data.byteLength);
    if (data instanceof Float32Array) this.floats(address, data.length).set(data);
    else this.words(address, data.length).set(data);
    return address;
  }
}
