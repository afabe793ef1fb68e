/** One inspected text: its tokens, its place in a document, and the few head maps that were looked at last. */

import type { HeadMap, Shade } from '../shared/attention/weights.ts';
import type {
  AttentionStack,
  EncodedPrompt,
  Inspection as EngineInspection,
  engineMethods,
  Picture,
  PromptInput,
} from '../shared/engine-contract.ts';
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

interface PictureInput {
  readonly kind: 'picture';
  /** A file such as a PNG. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface Source {
  readonly title: string;
  readonly input: PromptInput | PictureInput;
  readonly continuation?: readonly number[];
  /** What a translator is to have written, where the model is one. */
  readonly target?: string;
  readonly notes: readonly string[];
  /** Follows the document from the moment in which the text was read; owned by whoever inspects the source. */
  readonly place?: TextPlace;
}

/** A head of one of the model's attentions. */
export interface HeadPlace {
  readonly stack: number;
  readonly layer: number;
  readonly head: number;
}

const mapsKept = 6;
const pooling: EncodedPrompt = {
  text: '',
  tokens: [{ id: 0, text: '[POOL]', start: 0, end: 0, isSpecial: true }],
  neutralised: [],
};

export class Inspection {
  readonly source: Source;
  readonly id: number;
  readonly encoded: EngineInspection['encoded'];
  readonly target: EngineInspection['target'];
  readonly picture: Picture | undefined;
  readonly stacks: readonly AttentionStack[];
  readonly notes: readonly string[];
  readonly runMs: number;
  readonly #engine: Engine;
  readonly #maps = new Map<string, Promise<HeadMap>>();

  constructor(engine: Engine, source: Source, result: EngineInspection) {
    this.#engine = engine;
    this.source = source;
    this.id = result.inspectionId;
    this.encoded = result.encoded;
    this.target = result.target;
    this.picture = result.picture;
    this.stacks = result.stacks;
    this.notes = result.notes ?? [];
    this.runMs = result.runMs;
  }

  /** The tokens that the rows (`queries`) or columns (`keys`) of a stack's maps stand for. */
  sequence(stack: number, axis: 'queries' | 'keys'): EncodedPrompt {
    const name = this.stacks[stack]?.[axis] ?? 'source';
    return name === 'pooling' ? pooling : name === 'target' ? (this.target ?? pooling) : this.encoded;
  }

  /** Computed when first asked for; the last few are kept, whoever asks. */
  map({ stack, layer, head }: HeadPlace): Promise<HeadMap> {
    const key = `${stack}.${layer}.${head}`;
    const map = this.#maps.get(key) ?? this.#engine.call('attentionMap', { inspectionId: this.id, stack, layer, head });
    this.#maps.delete(key);
    this.#maps.set(key, map);
    map.catch(() => this.#maps.get(key) === map && this.#maps.delete(key));
    for (const oldest of this.#maps.keys()) {
      if (this.#maps.size <= mapsKept) break;
      this.#maps.delete(oldest);
    }
    return map;
  }

  thumbnails(stack: number, layers: number[], size: number, signal: AbortSignal) {
    return this.#engine.call('attentionThumbnails', { inspectionId: this.id, stack, layers, size }, { signal });
  }

  /** Lets the engine forget it; an engine that is gone has forgotten it already and is not started for that. */
  close(): void {
    this.#maps.clear();
    if (this.#engine.state.kind !== 'ready') return;
    this.#engine.call('closeInspection', { inspectionId: this.id }).catch(() => {});
  }
}
