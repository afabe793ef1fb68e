/** One inspected text: its tokens, its place in a document, and the few head maps that were looked at last. */

import type { HeadMap, Shade } from '../shared/attention/weights.ts';
import type { Inspection as EngineInspection, engineMethods, PromptInput } from '../shared/engine-contract.ts';
import type { EngineState } from '../shared/engine-state.ts';
import type { Caller } from '../shared/peer.ts';

export interface Engine extends Caller<typeof engineMethods> {
  readonly state: EngineState;
  onDidChangeState(listener: (state: EngineState) => void): { dispose(): void };
}

/** Where shades are painted: the document that the text came from. */
export interface TextPlace {
  readonly status: 'live' | 'changed' | 'closed';
  readonly onDidChange: (listener: () => void) => { dispose(): void };
  /** Replaces what was painted before; does nothing unless the document is `live`. */
  paint(painting: Painting): void;
  clear(): void;
  /** Brings a range of the text into view without taking the focus. */
  reveal(start: number, end: number): Promise<void>;
  /** Offset in the inspected text of the active editor's cursor, if it stands there. */
  cursorOffset(): number | undefined;
  dispose(): void;
}

export interface Painting {
  readonly shades: readonly (Shade & { readonly hover: string })[];
  /** The token that was asked about. */
  readonly mark: { readonly start: number; readonly end: number; readonly hover: string };
}

export interface Source {
  readonly title: string;
  readonly input: PromptInput;
  readonly continuation?: readonly number[];
  readonly notes: readonly string[];
  /** Follows the document from the moment in which the text was read; owned by whoever inspects the source. */
  readonly place?: TextPlace;
}

const mapsKept = 6;

export class Inspection {
  readonly source: Source;
  readonly id: number;
  readonly encoded: EngineInspection['encoded'];
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly runMs: number;
  readonly #engine: Engine;
  readonly #maps = new Map<string, Promise<HeadMap>>();

  constructor(engine: Engine, source: Source, result: EngineInspection) {
    this.#engine = engine;
    this.source = source;
    this.id = result.inspectionId;
    this.encoded = result.encoded;
    this.layers = result.layers;
    this.heads = result.heads;
    this.kvHeads = result.kvHeads;
    this.runMs = result.runMs;
  }

  /** Computed when first asked for; the last few are kept, whoever asks. */
  map(layer: number, head: number): Promise<HeadMap> {
    const key = `${layer}.${head}`;
    const map = this.#maps.get(key) ?? this.#engine.call('attentionMap', { inspectionId: this.id, layer, head });
    this.#maps.delete(key);
    this.#maps.set(key, map);
    map.catch(() => this.#maps.get(key) === map && this.#maps.delete(key));
    for (const oldest of this.#maps.keys()) {
      if (this.#maps.size <= mapsKept) break;
      this.#maps.delete(oldest);
    }
    return map;
  }

  thumbnails(layers: number[], size: number, signal: AbortSignal) {
    return this.#engine.call('attentionThumbnails', { inspectionId: this.id, layers, size }, { signal });
  }

  /** Lets the engine forget it; an engine that is gone has forgotten it already and is not started for that. */
  close(): void {
    this.#maps.clear();
    if (this.#engine.state.kind !== 'ready') return;
    this.#engine.call('closeInspection', { inspectionId: this.id }).catch(() => {});
  }
}
