/**
 * Gives transformers.js our sessions: it takes its ONNX runtime from `globalThis[Symbol.for('onnxruntime')]` when that is
 * set before it is evaluated, so this module has to be imported first of all.
 */
import * as ort from 'onnxruntime-web/webgpu';
import type { HubSession } from './hub-session.ts';

/** What transformers.js is given as the bytes of a graph is its name: the weights are not copied for it. */
type OpenSession = (graphName: string) => Promise<HubSession>;

const symbol = Symbol.for('onnxruntime');

class SessionSeam {
  #open: OpenSession = async (name) => {
    throw new Error(`No model is being loaded that has a graph "${name}".`);
  };

  /** Sessions of the models that are loaded from now on. */
  give(open: OpenSession): void {
    this.#open = open;
  }

  open(bytes: Uint8Array): Promise<HubSession> {
    return this.#open(new TextDecoder().decode(bytes));
  }
}

/** One a worker, as the runtime is. */
export const sessionSeam = new SessionSeam();

Object.assign(globalThis, {
  [symbol]: { ...ort, InferenceSession: { create: (bytes: Uint8Array) => sessionSeam.open(bytes) } },
});
