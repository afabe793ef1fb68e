/**
 * One end of a typed conversation over a Port: calls with progress, results, errors and cancellation.
 *
 * Promises: whatever arrives, nothing throws outside the Peer and nothing waits for a side that is gone. Closing the
 * port rejects all that is pending and aborts all that runs.
 */
import * as v from 'valibot';
import { AppError, cancelled, fromWireError, toWireError, wireErrorSchema } from './app-error.ts';

/** A pipe for structured-cloneable messages: a webview, a worker, a MessagePort, or a pair in memory. */
export interface Port {
  post(message: unknown, transfer?: Transferable[]): void;
  /** Calls `onMessage` for each message and `onClose` once, when the other side is known to be gone. */
  listen(onMessage: (message: unknown) => void, onClose: (reason: AppError) => void): void;
  close(): void;
}

type Schema = v.GenericSchema;

/** The shape of one method: what goes in, what comes while it runs, what comes out. */
interface Method {
  readonly params: Schema;
  readonly progress: Schema;
  readonly result: Schema;
}

/** A conversation, as seen from the side that calls: method name -> schemas. Types and checks come from it alike. */
export type Contract = Readonly<Record<string, Method>>;

export type Params<C extends Contract, M extends keyof C> = v.InferInput<C[M]['params']>;
export type Progress<C extends Contract, M extends keyof C> = v.InferInput<C[M]['progress']>;
export type Result<C extends Contract, M extends keyof C> = v.InferInput<C[M]['result']>;

/** A result or progress whose buffers are to be moved instead of copied where the port can. */
export class Transfer<T> {
  readonly value: T;
  readonly buffers: Transferable[];
  constructor(value: T, buffers: Transferable[]) {
    this.value = value;
    this.buffers = buffers;
  }
}

export interface HandlerContext<P> {
  readonly signal: AbortSignal;
  progress(value: P | Transfer<P>): void;
}

type MaybePromise<T> = T | Promise<T>;
/** A method whose result is undefined may as well return nothing. */
// biome-ignore lint/suspicious/noConfusingVoidType: it is only used for the return type of handlers
type Returned<R> = R | Transfer<R> | (undefined extends R ? void : never);

export type Handlers<C extends Contract> = {
  readonly [M in keyof C]: (
    params: Params<C, M>,
    context: HandlerContext<Progress<C, M>>,
  ) => MaybePromise<Returned<Result<C, M>>>;
};

export interface CallOptions<P> {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((value: P) => void) | undefined;
  readonly transfer?: Transferable[] | undefined;
}

/** The calling half of a Peer; features depend on this and never see a port. */
export interface Caller<C extends Contract> {
  call<M extends keyof C & string>(
    method: M,
    params: Params<C, M>,
    options?: CallOptions<Progress<C, M>>,
  ): Promise<Result<C, M>>;
}

const id = v.pipe(v.number(), v.integer(), v.minValue(0));
// VS Code sends messages through JSON, which drops a property that is undefined: the value of a frame may be missing.
const value = v.optional(v.unknown());
const frameSchema = v.variant('kind', [
  v.object({ kind: v.literal('call'), id, method: v.string(), params: value }),
  v.object({ kind: v.literal('progress'), id, value }),
  v.object({ kind: v.literal('result'), id, value }),
  v.object({ kind: v.literal('error'), id, error: wireErrorSchema }),
  v.object({ kind: v.literal('cancel'), id }),
  v.object({ kind: v.literal('ping') }),
  v.object({ kind: v.literal('pong') }),
]);
type Frame = v.InferOutput<typeof frameSchema>;

interface Pending {
  readonly method: Method;
  readonly name: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: AppError) => void;
  readonly onProgress: ((value: never) => void) | undefined;
  readonly dropSignal: () => void;
}

export interface PeerOptions<Serves extends Contract, Calls extends Contract> {
  readonly port: Port;
  readonly serves: Serves;
  readonly calls: Calls;
  readonly handlers: Handlers<Serves>;
  /** Told about every message that the contract does not allow. */
  readonly onFault?: (fault: string) => void;
}

export class Peer<Serves extends Contract, Calls extends Contract> implements Caller<Calls> {
  readonly #options: PeerOptions<Serves, Calls>;
  readonly #pending = new Map<number, Pending>();
  readonly #running = new Map<number, AbortController>();
  #nextId = 0;
  #heard = 0;
  #closed: AppError | undefined;
  #announceClosed: (reason: AppError) => void = () => {};
  /** Resolves with the reason once the conversation is over; never rejects. */
  readonly closed = new Promise<AppError>((resolve) => {
    this.#announceClosed = resolve;
  });

  constructor(options: PeerOptions<Serves, Calls>) {
    this.#options = options;
    options.port.listen(
      (message) => this.#receive(message),
      (reason) => this.close(reason),
    );
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** Calls that wait for the other side. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Calls of the other side that are being worked on here. */
  get runningCount(): number {
    return this.#running.size;
  }

  /** Frames that arrived so far, for a watchdog: any of them is a sign of life. */
  get heardCount(): number {
    return this.#heard;
  }

  /** Asks for a sign of life, which the other Peer gives by itself as soon as its thread is free. */
  ping(): void {
    this.#post({ kind: 'ping' });
  }

  /** Resolves with the other side's result, or rejects with an AppError: its own, `cancelled`, or the reason of close. */
  call<M extends keyof Calls & string>(
    name: M,
    params: Params<Calls, M>,
    options: CallOptions<Progress<Calls, M>> = {},
  ): Promise<Result<Calls, M>> {
    const { signal, onProgress, transfer } = options;
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed);
      if (signal?.aborted) return reject(cancelled());
      const method = Object.hasOwn(this.#options.calls, name) ? this.#options.calls[name] : undefined;
      if (!method) return reject(new AppError('protocol', `The other side has no method "${name}".`));
      const callId = this.#nextId++;
      const onAbort = () => {
        this.#settle(callId)?.reject(cancelled());
        this.#post({ kind: 'cancel', id: callId });
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const dropSignal = () => signal?.removeEventListener('abort', onAbort);
      this.#pending.set(callId, { method, name, resolve: resolve as never, reject, onProgress, dropSignal });
      this.#post({ kind: 'call', id: callId, method: name, params }, transfer);
    });
  }

  /** The other side started anew: rejects all that is pending and aborts all that runs, and goes on. */
  reset(reason: AppError): void {
    for (const callId of [...this.#pending.keys()]) this.#settle(callId)?.reject(reason);
    const running = [...this.#running.values()];
    this.#running.clear(); // first, so that what they still say goes nowhere: their ids may be in use again
    for (const controller of running) controller.abort(reason);
  }

  close(reason: AppError = new AppError('engine-died', 'The connection was closed.')): void {
    if (this.#closed) return;
    this.#closed = reason;
    this.reset(reason);
    this.#options.port.close();
    this.#announceClosed(reason);
  }

  #settle(callId: number): Pending | undefined {
    const pending = this.#pending.get(callId);
    this.#pending.delete(callId);
    pending?.dropSignal();
    return pending;
  }

  #post(frame: Frame, transfer?: Transferable[]): void {
    if (this.#closed) return;
    try {
      this.#options.port.post(frame, transfer);
    } catch (thrown) {
      this.#unsent(frame, thrown);
    }
  }

  /** A frame that could not be cloned: answer for it here, so that neither side waits. */
  #unsent(frame: Frame, thrown: unknown): void {
    this.#fault(`A ${frame.kind} could not be sent: ${describe(thrown)}`);
    const error = new AppError('protocol', `A message could not be sent: ${describe(thrown)}`, { cause: thrown });
    if (frame.kind === 'call') this.#settle(frame.id)?.reject(error);
    else if (frame.kind === 'result') this.#post({ kind: 'error', id: frame.id, error: toWireError(error) });
  }

  #receive(message: unknown): void {
    if (this.#closed) return;
    const parsed = v.safeParse(frameSchema, message);
    if (!parsed.success) return this.#fault('A message that is not a frame was dropped.');
    this.#heard++;
    const frame = parsed.output;
    if (frame.kind === 'call') void this.#serve(frame);
    else if (frame.kind === 'cancel') this.#running.get(frame.id)?.abort(cancelled());
    else if (frame.kind === 'ping') this.#post({ kind: 'pong' });
    else if (frame.kind !== 'pong') this.#answer(frame);
  }

  #answer(frame: Extract<Frame, { kind: 'progress' | 'result' | 'error' }>): void {
    const pending = this.#pending.get(frame.id);
    if (!pending) return; // settled already, by a cancel for instance
    if (frame.kind === 'error') return void this.#settle(frame.id)?.reject(fromWireError(frame.error));
    const isResult = frame.kind === 'result';
    const parsed = v.safeParse(isResult ? pending.method.result : pending.method.progress, frame.value);
    if (!parsed.success) {
      const fault = `A ${frame.kind} of "${pending.name}" has the wrong shape: ${describeIssues(parsed.issues)}`;
      this.#fault(fault);
      if (isResult) this.#settle(frame.id)?.reject(new AppError('protocol', fault));
      return;
    }
    if (isResult) return void this.#settle(frame.id)?.resolve(parsed.output);
    try {
      pending.onProgress?.(parsed.output as never);
    } catch (thrown) {
      this.#fault(`The progress listener of "${pending.name}" threw: ${describe(thrown)}`);
    }
  }

  async #serve(frame: Extract<Frame, { kind: 'call' }>): Promise<void> {
    const { serves, handlers } = this.#options;
    const method = Object.hasOwn(serves, frame.method) ? serves[frame.method] : undefined;
    if (!method) return this.#refuse(frame.id, `There is no method "${frame.method}".`);
    if (this.#running.has(frame.id)) return this.#fault(`Call ${frame.id} arrived twice; the second was dropped.`);
    const parsed = v.safeParse(method.params, frame.params);
    if (!parsed.success)
      return this.#refuse(frame.id, `"${frame.method}" was called wrongly: ${describeIssues(parsed.issues)}`);
    const controller = new AbortController();
    this.#running.set(frame.id, controller);
    const isCurrent = () => this.#running.get(frame.id) === controller; // not after a reset
    try {
      const context = {
        signal: controller.signal,
        progress: (progress: unknown) => {
          if (isCurrent()) this.#postValue('progress', frame.id, progress);
        },
      };
      const result = await handlers[frame.method as keyof Serves](parsed.output as never, context as never);
      if (isCurrent()) this.#postValue('result', frame.id, result);
    } catch (thrown) {
      const error = toWireError(controller.signal.aborted ? cancelled() : thrown);
      if (isCurrent()) this.#post({ kind: 'error', id: frame.id, error });
    } finally {
      if (isCurrent()) this.#running.delete(frame.id);
    }
  }

  #postValue(kind: 'progress' | 'result', frameId: number, content: unknown): void {
    if (content instanceof Transfer) this.#post({ kind, id: frameId, value: content.value }, content.buffers);
    else this.#post({ kind, id: frameId, value: content });
  }

  #refuse(frameId: number, message: string): void {
    this.#fault(message);
    this.#post({ kind: 'error', id: frameId, error: { code: 'protocol', message } });
  }

  #fault(fault: string): void {
    try {
      this.#options.onFault?.(fault);
    } catch {
      // A listener that fails must not end the conversation.
    }
  }
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : typeof thrown;
}

function describeIssues(issues: readonly v.BaseIssue<unknown>[]): string {
  return issues.map((issue) => `${v.getDotPath(issue) ?? 'value'}: ${issue.message}`).join('; ');
}
