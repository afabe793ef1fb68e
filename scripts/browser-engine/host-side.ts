/**
 * Plays the extension inside the Model page's own window: the real engine client on one side of `acquireVsCodeApi`,
 * the page on the other. Messages are cloned as VS Code clones them, never shared. Bundled and injected before the
 * page's script by `openBrowserEngine`.
 */
import { EngineClient } from '../../src/engine/engine-client.ts';
import { toAppError, toWireError } from '../../src/shared/app-error.ts';
import type { LoadProgress, LoadRequest, Verdict } from '../../src/shared/engine-contract.ts';
import type { Port } from '../../src/shared/peer.ts';

export interface HostSideOptions {
  readonly load: LoadRequest;
  readonly patience?: { readonly tickMs: number; readonly silentTicks: number };
}

type Reply = { readonly value: unknown } | { readonly error: { readonly code: string; readonly message: string } };

declare global {
  interface Window {
    glassheadOptions: HostSideOptions;
    /** Bound by Playwright: progress of a call, and lines of the log. */
    glassheadTell(kind: 'progress' | 'log' | 'state', id: number | string, value: unknown): void;
    glasshead: typeof hostSide;
    acquireVsCodeApi: typeof acquireVsCodeApi;
  }
}

let toHost: ((message: unknown) => void) | undefined;
let pageState: unknown;
let load = window.glassheadOptions.load;
let verdict: Verdict | undefined;
const calls = new Map<number, AbortController>();
const workers: Worker[] = [];

function acquireVsCodeApi() {
  return {
    postMessage: (message: unknown) => {
      const copy = structuredClone(message);
      queueMicrotask(() => toHost?.(copy));
    },
    getState: () => pageState,
    setState: (state: unknown) => {
      pageState = state;
    },
  };
}

const port: Port = {
  post: (message) => window.postMessage(structuredClone(message), '*'),
  listen: (onMessage) => {
    toHost = onMessage;
  },
  close: () => {
    toHost = undefined;
  },
};

const log = (level: string) => (message: string) => window.glassheadTell('log', level, message);
const engine = new EngineClient({
  log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
  openPage: async () => {
    if (!toHost) engine.attach(port);
  },
  describeLoad: async () => ({ ...load, ...(verdict && { knownVerdict: verdict }) }),
  configured: () => ({ name: load.modelName, detail: '' }),
  onAction: (action) => window.glassheadTell('log', 'info', `action: ${action}`),
  ...(window.glassheadOptions.patience && { patience: window.glassheadOptions.patience }),
});
engine.onDidChangeState((state) => {
  if (state.kind === 'ready') verdict = state.model.verdict;
});
engine.onDidChangeState((state) => window.glassheadTell('state', state.kind, state));

async function reply(work: () => Promise<unknown>): Promise<Reply> {
  try {
    return { value: await work() };
  } catch (thrown) {
    return { error: toWireError(toAppError(thrown)) };
  }
}

const hostSide = {
  state: () => engine.state,
  load: (request: LoadRequest) =>
    reply(async () => {
      load = request;
      verdict = undefined; // an explicit load measures anew; a restart, as in the extension, does not
      if (engine.state.kind !== 'off') await engine.stop();
      return engine.start();
    }),
  stop: () => reply(() => engine.stop()),
  restart: () => reply(() => engine.restart()),
  call: (id: number, method: string, params: unknown) =>
    reply(async () => {
      const controller = new AbortController();
      calls.set(id, controller);
      try {
        return await engine.call(method as 'generate', params as never, {
          signal: controller.signal,
          onProgress: (value) => window.glassheadTell('progress', id, value),
        });
      } finally {
        calls.delete(id);
      }
    }),
  cancel: (id: number) => calls.get(id)?.abort(),
  /** Ends every worker of the page as a browser would: nobody is told. Returns how many were started so far. */
  killWorkers: () => {
    for (const worker of workers) worker.terminate();
    return workers.length;
  },
  killWorkersAt: (phase: LoadProgress['phase']) => {
    const listening = engine.onDidChangeState((state) => {
      if (state.kind !== 'loading' || state.phase !== phase) return;
      listening.dispose();
      hostSide.killWorkers();
    });
  },
};

// Only watches: the page's workers are the browser's own.
window.Worker = class extends Worker {
  constructor(address: string | URL, options?: WorkerOptions) {
    super(address, options);
    workers.push(this);
  }
};
window.acquireVsCodeApi = acquireVsCodeApi;
window.glasshead = hostSide;
engine.attach(port);
