/** Two Ports joined in memory. Messages are cloned and arrive later, as over a worker or a webview. */
import type { AppError } from '../../../src/shared/app-error.ts';
import type { Port } from '../../../src/shared/peer.ts';

export interface PortPair {
  readonly left: Port;
  readonly right: Port;
  /** Both sides learn that the other is gone. */
  cut(reason: AppError): void;
  /** The left side's messages go nowhere from now on, and nobody is told. */
  silence(): void;
}

type Clone = (message: unknown, transfer?: Transferable[]) => unknown;

/** As VS Code sends between a webview and the extension: JSON, so what is undefined is left out. */
export const cloneAsJson: Clone = (message) => JSON.parse(JSON.stringify(message));

export function createPortPair(
  clone: Clone = (message, transfer = []) => structuredClone(message, { transfer }),
): PortPair {
  type Listener = { onMessage: (message: unknown) => void; onClose: (reason: AppError) => void };
  const listeners: [left?: Listener, right?: Listener] = [];
  let isSilent = false;
  const end = (own: 0 | 1): Port => ({
    post: (message, transfer) => {
      const copy = clone(message, transfer);
      if (own === 0 && isSilent) return;
      setImmediate(() => listeners[own === 0 ? 1 : 0]?.onMessage(copy));
    },
    listen: (onMessage, onClose) => {
      listeners[own] = { onMessage, onClose };
    },
    close: () => {
      delete listeners[own];
    },
  });
  return {
    left: end(0),
    right: end(1),
    cut: (reason) => {
      for (const listener of [...listeners]) listener?.onClose(reason);
    },
    silence: () => {
      isSilent = true;
    },
  };
}
