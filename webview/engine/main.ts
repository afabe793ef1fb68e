/** Entry of the engine worker: serves the contract over its own messages. */
import { workerContract } from '../../src/shared/engine-contract.ts';
import { Peer, type Port } from '../../src/shared/peer.ts';
import { createHandlers } from './worker-handlers.ts';

const port: Port = {
  post: (message, transfer = []) => self.postMessage(message, { transfer }),
  listen: (onMessage) => {
    self.onmessage = ({ data }: MessageEvent) => onMessage(data);
  },
  close: () => self.close(),
};

new Peer({ port, serves: workerContract, calls: {}, handlers: createHandlers() });
