/** Serves the engine over the messages of the worker that this runs in, and calls the page over them. */
import {
  type FileContract,
  fileContract,
  type WorkerContract,
  workerContract,
} from '../../src/shared/engine-contract.ts';
import { Peer, type Port } from '../../src/shared/peer.ts';
import { createHandlers } from './worker-handlers.ts';
import type { loadSession } from './worker-session.ts';

/** `load` in place of the engine's own, for measurements. */
export function serveEngine(load?: typeof loadSession): void {
  const port: Port = {
    post: (message, transfer = []) => self.postMessage(message, { transfer }),
    listen: (onMessage) => {
      self.onmessage = ({ data }: MessageEvent) => onMessage(data);
    },
    close: () => self.close(),
  };
  const page: Peer<WorkerContract, FileContract> = new Peer({
    port,
    serves: workerContract,
    calls: fileContract,
    handlers: createHandlers({ call: (...of) => page.call(...of) }, load),
  });
}
