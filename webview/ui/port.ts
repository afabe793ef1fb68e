/** A page's way to the extension: its Port, and the small state that VS Code keeps for it over a reload. */
import type { Port } from '../../src/shared/peer.ts';

interface VsCodeApi {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

export interface Page {
  readonly port: Port;
  /** What `saveState` last got, in this window or before a reload: check its shape. Undefined when there is none. */
  loadState(): unknown;
  /** Kept by VS Code with the panel; a panel's serializer gets it back. JSON only. */
  saveState(state: unknown): void;
}

/** To be called once a page: VS Code hands its API out a single time. */
export function openPage(): Page {
  const api = acquireVsCodeApi();
  const stop = new AbortController();
  const port: Port = {
    post: (message, transfer) => api.postMessage(message, transfer),
    listen: (onMessage) => {
      window.addEventListener('message', (event: MessageEvent) => onMessage(event.data), { signal: stop.signal });
    },
    // The extension's end cannot go away while the page lives: VS Code disposes both together.
    close: () => stop.abort(),
  };
  return { port, loadState: () => api.getState(), saveState: (state) => api.setState(state) };
}
