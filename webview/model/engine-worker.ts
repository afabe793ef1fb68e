/**
 * Starts the engine worker and gives its Port, which closes when the worker is gone for whatever reason.
 *
 * A worker that is terminated or dies tells nobody. A lock does: the worker takes one as its first act, and the browser
 * hands it to the page when the worker ends (https://w3c.github.io/web-locks/#agent-integration).
 */
import { AppError } from '../../src/shared/app-error.ts';
import type { Port } from '../../src/shared/peer.ts';

const hasStarted = 'glasshead-worker-has-started';

export interface EngineWorker {
  readonly port: Port;
  /** Resolves once the worker runs; from then on its end is noticed at once. */
  readonly started: Promise<void>;
}

export function startEngineWorker(source: string): EngineWorker {
  const lockName = `glasshead-engine-${crypto.randomUUID()}`;
  const address = URL.createObjectURL(new Blob([prelude(lockName), source], { type: 'text/javascript' }));
  const worker = new Worker(address, { name: 'glasshead-engine' });
  URL.revokeObjectURL(address);
  const ended = new AbortController();
  const whenReleased = (callback: () => void) =>
    navigator.locks?.request(lockName, { signal: ended.signal }, callback).catch(() => undefined);
  let announceStart = () => {};
  const started = new Promise<void>((resolve) => {
    announceStart = resolve;
  });
  const port: Port = {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    listen: (onMessage, onClose) => {
      const lost = (why: string) => {
        if (!ended.signal.aborted) onClose(new AppError('engine-died', `${why} Run it again, or restart the engine.`));
      };
      worker.addEventListener('message', ({ data }) => {
        if (data !== hasStarted) return onMessage(data);
        void whenReleased(() => lost('The engine worker ended in the middle of its work.'));
        announceStart();
      });
      worker.addEventListener('error', (event) => {
        event.preventDefault();
        lost(`The engine worker stopped on an error: ${event.message || 'unknown'}.`);
      });
      worker.addEventListener('messageerror', () => lost('A message of the engine worker could not be read.'));
    },
    close: () => {
      ended.abort();
      worker.terminate();
    },
  };
  return { port, started };
}

function prelude(lockName: string): string {
  return `{
  const tell = () => postMessage('${hasStarted}');
  if (navigator.locks) navigator.locks.request('${lockName}', () => (tell(), new Promise(() => {})));
  else tell();
}
`;
}
