/**
 * Owns the engine's worker: starts one for each load, reads files for it, passes calls on to it and ends it when the
 * runtime failed. Whatever ends a worker, all that was pending on it is rejected.
 */
import { AppError, cancelled, toAppError } from '../../src/shared/app-error.ts';
import {
  type EngineProgress,
  type EngineStats,
  engineMethods,
  type FileContract,
  fileContract,
  type GenerateResult,
  type LoadProgress,
  type LoadRequest,
  type ModelInfo,
  type WorkerContract,
  workerContract,
} from '../../src/shared/engine-contract.ts';
import { type HandlerContext, type Handlers, Peer, type Result } from '../../src/shared/peer.ts';
import { startWatchdog, type WatchdogOptions } from '../../src/shared/watchdog.ts';
import { startEngineWorker } from './engine-worker.ts';
import { serveModelFiles } from './model-files.ts';
import { checkPlatform } from './platform-check.ts';

type EngineMethods = typeof engineMethods;
type WorkerPeer = Peer<FileContract, WorkerContract>;

export interface EngineHomeOptions {
  /** Address of the folder that holds engine.js and the WebAssembly of its runtimes. */
  readonly distUrl: string;
  readonly patience: Omit<WatchdogOptions, 'name'>;
  /** A worker with a loaded model went away. */
  readonly onDied: (error: AppError) => void;
  readonly onFault: (fault: string) => void;
  /** A call was passed on, or came back: with its result, or without one when it failed. */
  readonly onActivity: (activity: Activity) => void;
}

interface Activity {
  /** Calls that the worker is busy with. */
  readonly running: number;
  readonly generated?: GenerateResult;
}

const progressEveryMs = 100;
const startTimeoutMs = 60_000;
const notStarted = 'The engine worker did not start. Restart the engine; if that does not help, reload the window.';

export class EngineHome {
  readonly #options: EngineHomeOptions;
  #worker: WorkerPeer | undefined;
  #isReady = false;
  #source: Promise<string> | undefined;
  #running = 0;

  constructor(options: EngineHomeOptions) {
    this.#options = options;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Ends the worker there was, starts a new one and loads the model in it. */
  async load(request: LoadRequest, context: HandlerContext<EngineProgress<'load'>>): Promise<ModelInfo> {
    this.unload(new AppError('engine-died', 'The engine was started anew.'));
    checkPlatform();
    const { signal } = context;
    const onProgress = throttled((progress: LoadProgress) => context.progress(progress));
    const files = serveModelFiles({ files: request.files, distUrl: this.#options.distUrl, onProgress });
    const worker = await this.#startWorker(files, signal);
    const onAbort = () => this.#end(worker, cancelled());
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      const described = request.files.map(({ url, ...description }) => description);
      const model = await worker.call('load', { ...request, files: described }, { signal, onProgress });
      if (this.#worker !== worker) throw cancelled();
      this.#isReady = true;
      return model;
    } catch (thrown) {
      const error = signal.aborted ? cancelled() : toAppError(thrown);
      this.#end(worker, error);
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Passes a call on to the worker. */
  async call<M extends keyof EngineMethods>(
    method: M,
    params: never,
    { signal, progress }: HandlerContext<never>,
  ): Promise<Result<EngineMethods, M>> {
    const worker = this.#worker;
    if (!worker || !this.#isReady) throw new AppError('no-model', 'No model is loaded. Load one in the Model view.');
    const { onActivity } = this.#options;
    onActivity({ running: ++this.#running });
    try {
      const result = await worker.call(method, params, { signal, onProgress: progress as never });
      onActivity({ running: --this.#running, ...(method === 'generate' && { generated: result as GenerateResult }) });
      return result;
    } catch (thrown) {
      onActivity({ running: --this.#running });
      const error = toAppError(thrown);
      // A runtime that threw is not used again: ONNX Runtime's state is unknown after it.
      if (error.code === 'engine-failed') this.#lose(worker, error);
      throw error;
    }
  }

  /** For the view; undefined while no model is ready. Counts as no activity. */
  async stats(): Promise<EngineStats | undefined> {
    return this.#isReady ? this.#worker?.call('stats', undefined).catch(() => undefined) : undefined;
  }

  unload(reason: AppError = new AppError('engine-died', 'The model was unloaded. Run it again to load it.')): void {
    if (this.#worker) this.#end(this.#worker, reason);
  }

  async #startWorker(files: Handlers<FileContract>, signal: AbortSignal): Promise<WorkerPeer> {
    this.#source ??= fetchText(`${this.#options.distUrl}/engine.js`);
    const source = await this.#source.catch((thrown) => {
      this.#source = undefined;
      throw thrown;
    });
    if (signal.aborted) throw cancelled();
    this.unload(cancelled()); // a load that began meanwhile is replaced by this one
    const { port, started } = startEngineWorker(source);
    const worker: WorkerPeer = new Peer({
      port,
      serves: fileContract,
      calls: workerContract,
      handlers: files,
      onFault: this.#options.onFault,
    });
    startWatchdog(worker, { ...this.#options.patience, name: 'The engine worker' });
    void worker.closed.then((reason) => this.#lose(worker, reason));
    this.#worker = worker;
    this.#isReady = false;
    const late = setTimeout(() => worker.close(new AppError('engine-died', notStarted)), startTimeoutMs);
    await Promise.race([started, worker.closed]).finally(() => clearTimeout(late));
    return worker;
  }

  /** The worker ended without having been told to: says so when a model was ready in it. */
  #lose(worker: WorkerPeer, reason: AppError): void {
    const wasReady = this.#worker === worker && this.#isReady;
    this.#end(worker, reason);
    if (wasReady) this.#options.onDied(reason);
  }

  #end(worker: WorkerPeer, reason: AppError): void {
    if (this.#worker === worker) {
      this.#worker = undefined;
      this.#isReady = false;
    }
    worker.close(reason);
  }
}

/** What is served to the extension: every method of the engine, passed on. */
export function forwardEngineMethods(home: EngineHome): Handlers<EngineMethods> {
  const names = Object.keys(engineMethods) as (keyof EngineMethods)[];
  const handlers = names.map((name) => [
    name,
    (params: never, context: HandlerContext<never>) => home.call(name, params, context),
  ]);
  return Object.fromEntries(handlers) as Handlers<EngineMethods>;
}

async function fetchText(address: string): Promise<string> {
  const response = await fetch(address).catch(() => undefined);
  if (!response?.ok)
    throw new AppError('engine-failed', 'The engine of Glasshead cannot be read. Reinstall the extension.');
  return response.text();
}

/** Lets a new phase or message through at once, and otherwise a few reports a second. */
function throttled(report: (progress: LoadProgress) => void): (progress: LoadProgress) => void {
  let last = '';
  let lastAt = 0;
  return (progress) => {
    const what = progress.phase + progress.message;
    const now = performance.now();
    if (what === last && now - lastAt < progressEveryMs) return;
    last = what;
    lastAt = now;
    report(progress);
  };
}
