/**
 * The one typed client of the engine: opens its page and loads the model when first needed, owns its state, and starts
 * it afresh after a failure. Knows no VS Code: the page is a Port that `attach` gets.
 */
import { AppError, cancelled, toAppError } from '../shared/app-error.ts';
import { Emitter } from '../shared/emitter.ts';
import type { engineMethods, GenerateResult, LoadRequest, ModelInfo } from '../shared/engine-contract.ts';
import type { EngineState } from '../shared/engine-state.ts';
import {
  type ModelAction,
  type ModelPageContract,
  type ModelView,
  modelHostContract,
  modelPageContract,
} from '../shared/model-page-contract.ts';
import {
  type Caller,
  type CallOptions,
  type Params,
  Peer,
  type Port,
  type Progress,
  type Result,
} from '../shared/peer.ts';
import { patience, startWatchdog } from '../shared/watchdog.ts';
import { toLoadingState } from './load-progress.ts';

type Methods = typeof engineMethods;
type PagePeer = Peer<typeof modelHostContract, ModelPageContract>;

const notOpened = 'The Model view did not open. Open it from the Glasshead side bar, then try again.';

interface EngineLog {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export interface EngineClientOptions {
  readonly log: EngineLog;
  /** Makes a Model page start that will be given to `attach`; a page that no longer answers is started anew. */
  readonly openPage: () => Promise<void>;
  /** What is to be loaded, with addresses that the page can fetch. */
  readonly describeLoad: () => Promise<LoadRequest>;
  /** What the Model view says of the model before it is loaded. */
  readonly configured: () => ModelView['configured'];
  /** The buttons of the view that are not the engine's own. */
  readonly onAction: (action: ModelAction) => void;
  readonly openTimeoutMs?: number;
  readonly patience?: { readonly tickMs: number; readonly silentTicks: number };
}

export class EngineClient implements Caller<Methods> {
  readonly #options: EngineClientOptions;
  readonly #stateEmitter = new Emitter<EngineState>();
  readonly #runEmitter = new Emitter<GenerateResult>();
  readonly onDidChangeState = this.#stateEmitter.event;
  /** Each finished generation, for its speed. */
  readonly onDidGenerate = this.#runEmitter.event;
  #state: EngineState = { kind: 'off' };
  /** The page that has said `ready`. */
  #page: PagePeer | undefined;
  /** The page that was attached last, ready or not. */
  #attached: PagePeer | undefined;
  readonly #pageWaiters = new Set<(page: PagePeer) => void>();
  #starting: { readonly model: Promise<ModelInfo>; readonly stop: AbortController } | undefined;
  #isDisposed = false;

  constructor(options: EngineClientOptions) {
    this.#options = options;
  }

  get state(): EngineState {
    return this.#state;
  }

  /** Takes over a page that is about to start; the one before it is let go. */
  attach(port: Port): void {
    this.#attached?.close(new AppError('engine-died', 'The Model view was replaced by another one. Run it again.'));
    const page: PagePeer = new Peer({
      port,
      serves: modelHostContract,
      calls: modelPageContract,
      handlers: {
        ready: () => this.#onReady(page),
        engineDied: ({ code, message }) => void this.#onEngineDied(new AppError(code, message)),
        act: ({ action }) => void this.#act(action),
        log: ({ level, message }) => void this.#options.log[level](`Model page: ${message}`),
      },
      onFault: (fault) => this.#options.log.warn(`Model page: ${fault}`),
    });
    this.#attached = page;
    startWatchdog(page, { ...(this.#options.patience ?? patience), name: 'The Model view' });
    void page.closed.then((reason) => this.#onPageClosed(page, reason));
  }

  /** Resolves once the model is ready. Simultaneous starts share one; `signal` ends the waiting, not the start. */
  start(signal?: AbortSignal): Promise<ModelInfo> {
    if (signal?.aborted) return Promise.reject(cancelled());
    if (this.#isDisposed) return Promise.reject(new AppError('engine-died', 'Glasshead is being shut down.'));
    if (this.#state.kind === 'ready') return Promise.resolve(this.#state.model);
    this.#starting ??= this.#begin();
    return waitFor(this.#starting.model, signal);
  }

  /** Starts the engine if needed, then asks it. */
  async call<M extends keyof Methods & string>(
    method: M,
    params: Params<Methods, M>,
    options: CallOptions<Progress<Methods, M>> = {},
  ): Promise<Result<Methods, M>> {
    await this.start(options.signal);
    if (!this.#page) throw new AppError('engine-died', 'The Model view was closed. Run it again.');
    const result = await this.#page.call(method, params as never, options as never);
    if (method === 'generate') this.#runEmitter.fire(result as GenerateResult);
    return result as Result<Methods, M>;
  }

  /** Ends a load that is under way, or the loaded model; what was pending is rejected. */
  async stop(): Promise<void> {
    const starting = this.#starting;
    starting?.stop.abort();
    await starting?.model.catch(() => undefined);
    await this.#page?.call('unload', undefined).catch(() => undefined);
    this.#setState({ kind: 'off' });
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Lets go of the page, so that the next start lays it anew: what it may read is fixed when it is laid. */
  closePage(reason: AppError): void {
    this.#attached?.close(reason);
  }

  /** Shows the page what has changed outside the engine: the settings. */
  refresh(): void {
    void this.#page?.call('show', this.#view()).catch(() => undefined);
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#starting?.stop.abort();
    this.#attached?.close(new AppError('engine-died', 'Glasshead is being shut down.'));
    this.#stateEmitter.dispose();
    this.#runEmitter.dispose();
  }

  #begin() {
    const stop = new AbortController();
    const model = this.#load(stop.signal).finally(() => {
      this.#starting = undefined;
    });
    model.catch(() => undefined); // whoever waits is told; nobody may be waiting any more
    return { model, stop };
  }

  async #load(signal: AbortSignal): Promise<ModelInfo> {
    const { log, describeLoad, configured } = this.#options;
    const { name } = configured();
    this.#setState({ kind: 'loading', modelName: name, message: 'Opening the Model view' });
    try {
      const page = await waitFor(this.#readyPage(), signal);
      this.#setState({ kind: 'loading', modelName: name, message: 'Starting the engine' });
      const request = await waitFor(describeLoad(), signal);
      log.info(`Loading ${request.modelName} (${request.files.length} files), device ${request.device}.`);
      const model = await page.call('load', request, {
        signal,
        onProgress: (progress) => {
          if (!signal.aborted) this.#setState(toLoadingState(request.modelName, progress));
        },
      });
      log.info(
        `${model.modelName} is ready on ${model.device} after ${Math.round(model.loadMs)} ms. ${model.deviceReason} ${model.runtimeReason}`,
      );
      if (model.inspectionRefused) log.warn(`Attention cannot be read: ${model.inspectionRefused}`);
      this.#setState({ kind: 'ready', model });
      return model;
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'cancelled') this.#setState({ kind: 'off' });
      else this.#fail(error);
      throw error;
    }
  }

  async #readyPage(): Promise<PagePeer> {
    if (this.#page) return this.#page;
    let stopWaiting = () => {};
    const opened = new Promise<PagePeer>((resolve, reject) => {
      const late = () => reject(new AppError('engine-died', notOpened));
      const timer = setTimeout(late, this.#options.openTimeoutMs ?? 60_000);
      this.#pageWaiters.add(resolve);
      stopWaiting = () => {
        clearTimeout(timer);
        this.#pageWaiters.delete(resolve);
      };
    });
    try {
      return await Promise.race([opened, this.#options.openPage().then(() => opened)]);
    } finally {
      stopWaiting();
    }
  }

  #onReady(page: PagePeer): ModelView {
    if (this.#page === page) {
      const reason = new AppError('engine-died', 'The Model view was reloaded, and the model with it. Run it again.');
      page.reset(reason);
      this.#options.log.warn(reason.message);
      if (this.#state.kind === 'ready') this.#setState({ kind: 'off' });
    }
    this.#page = page;
    for (const resolve of [...this.#pageWaiters]) resolve(page);
    return this.#view();
  }

  #onPageClosed(page: PagePeer, reason: AppError): void {
    if (this.#attached === page) this.#attached = undefined;
    if (this.#page !== page) return;
    this.#page = undefined;
    this.#options.log.info(`The Model page has gone: ${reason.message}`);
    if (this.#state.kind === 'ready') this.#setState({ kind: 'off' });
  }

  #onEngineDied(error: AppError): void {
    if (this.#state.kind === 'ready') this.#fail(error);
  }

  #act(action: ModelAction): void {
    const ignore = () => undefined; // the state says what went wrong
    if (action === 'load') void this.start().catch(ignore);
    else if (action === 'stop') void this.stop().catch(ignore);
    else if (action === 'restart') void this.restart().catch(ignore);
    else this.#options.onAction(action);
  }

  #fail({ code, message }: AppError): void {
    this.#options.log.error(`The engine failed (${code}): ${message}`);
    this.#setState({ kind: 'failed', error: { code, message } });
  }

  #view(): ModelView {
    return { state: this.#state, configured: this.#options.configured() };
  }

  #setState(state: EngineState): void {
    if (this.#isDisposed) return;
    this.#state = state;
    this.#stateEmitter.fire(state);
    this.refresh();
  }
}

/** `promise`, or `cancelled` as soon as the signal fires. */
function waitFor<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(cancelled());
    const onAbort = () => reject(cancelled());
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
