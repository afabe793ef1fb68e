/** Threads of the SIMD runtime as worker threads of Node. */
import { Worker } from 'node:worker_threads';
import type { Thread } from '../../../webview/engine/runtime/simd/thread-pool.ts';

/** Gives the source of a browser's worker what it uses of one. */
const prelude = `const { parentPort } = require('node:worker_threads');
globalThis.postMessage = (data) => parentPort.postMessage(data);
parentPort.on('message', (data) => globalThis.onmessage({ data }));
`;

export function startNodeThread(source: string): Thread & { readonly worker: Worker } {
  const worker = new Worker(prelude + source, { eval: true });
  worker.unref();
  const answer = new Promise<unknown>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return {
    worker,
    answer,
    post: (message) => worker.postMessage(message),
    onError: (listener) => worker.on('error', ({ message }) => listener(message)),
    end: () => void worker.terminate(),
  };
}
