/** Threads as workers of a browser, made from a blob: the Model page's Content-Security-Policy allows no others. */
import { AppError } from '../../../../src/shared/app-error.ts';
import type { Thread } from './thread-pool.ts';

/** Ends with the worker that starts it. */
export function startWebThread(source: string): Thread {
  const address = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const worker = new Worker(address, { name: 'glasshead-thread' });
  const answer = new Promise<unknown>((resolve, reject) => {
    worker.addEventListener('message', ({ data }) => resolve(data), { once: true });
    worker.addEventListener(
      'error',
      ({ message }) => reject(new AppError('engine-failed', message || 'It was refused')),
      {
        once: true,
      },
    );
  }).finally(() => URL.revokeObjectURL(address));
  return {
    post: (message) => worker.postMessage(message),
    answer,
    onError: (listener) =>
      worker.addEventListener('error', (event) => {
        event.preventDefault();
        listener(event.message || 'unknown error');
      }),
    end: () => worker.terminate(),
  };
}
