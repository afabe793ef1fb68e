/**
 * Threads that walk through the machine's plans beside the worker that asks: one instance of the kernels each, over one
 * shared memory. Either all of them start, or none.
 */
import { AppError, toAppError } from '../../../../src/shared/app-error.ts';

/** A worker, as far as a thread needs one. */
export interface Thread {
  post(message: unknown): void;
  /** Its first message, or the reason why there will be none. */
  readonly answer: Promise<unknown>;
  /** Fires when it stops on an error afterwards. */
  onError(listener: (message: string) => void): void;
  end(): void;
}

/** Starts a worker from its source. */
export type StartThread = (source: string) => Thread;

export interface ThreadPlaces {
  /** docs/simd-runtime.md, "Threads". */
  readonly control: number;
  /** Of each instance, what is added to the addresses of its own buffers; the first is that of the caller's. */
  readonly offsets: readonly number[];
}

const startTimeoutMs = 10_000;
const meetingByte = 64;
const failedByte = 72;

/** What an instance imports. */
export function threadImports(memory: WebAssembly.Memory, { control, offsets }: ThreadPlaces, index: number) {
  return {
    env: {
      memory,
      threadIndex: index,
      threadCount: offsets.length,
      threadOffset: offsets[index]!,
      threadControl: control,
    },
  };
}

/** Source of a worker: answers '' once its instance is there, or what went wrong; then serves until it is ended. */
const source = `onmessage = async ({ data: { module, imports } }) => {
  let exports;
  try {
    ({ exports } = await WebAssembly.instantiate(module, imports));
  } catch (error) {
    return postMessage(String(error));
  }
  postMessage('');
  try {
    exports.serve();
  } catch (error) {
    const { memory, threadControl } = imports.env;
    const words = new Int32Array(memory.buffer, threadControl, 32);
    Atomics.store(words, ${failedByte / 4}, 1);
    Atomics.notify(words, ${meetingByte / 4});
    throw error;
  }
};
`;

export class ThreadPool {
  readonly places: ThreadPlaces;
  readonly #threads: readonly Thread[];
  #fault: string | undefined;

  private constructor(threads: readonly Thread[], places: ThreadPlaces) {
    this.#threads = threads;
    this.places = places;
    for (const thread of threads)
      thread.onError((message) => {
        this.#fault ??= message;
      });
  }

  /**
   * One thread less than there are offsets.
   * @throws AppError `engine-failed` when one cannot be started, within 10 seconds.
   */
  static async start(
    start: StartThread,
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    places: ThreadPlaces,
  ): Promise<ThreadPool> {
    const threads: Thread[] = [];
    try {
      for (const index of places.offsets.keys()) if (index > 0) threads.push(start(source));
      for (const [i, thread] of threads.entries())
        thread.post({ module, imports: threadImports(memory, places, i + 1) });
      const answers = await withinTime(Promise.all(threads.map(({ answer }) => answer)));
      const wrong = answers.find((answer) => answer !== '');
      if (wrong !== undefined) throw new AppError('engine-failed', String(wrong));
      return new ThreadPool(threads, places);
    } catch (thrown) {
      for (const thread of threads) thread.end();
      throw toAppError(thrown);
    }
  }

  /** @throws AppError `engine-failed` when a thread has stopped: nobody must wait for it. */
  check(): void {
    if (this.#fault !== undefined)
      throw new AppError('engine-failed', `A thread of the engine stopped: ${this.#fault.replace(/\.$/, '')}.`);
  }

  end(): void {
    for (const thread of this.#threads) thread.end();
  }
}

async function withinTime<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const error = new AppError('engine-failed', 'It did not start within 10 seconds.');
    timer = setTimeout(() => reject(error), startTimeoutMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
