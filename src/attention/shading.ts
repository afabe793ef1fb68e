/** What is shaded just now: one token's weights in one head, on the document that the inspected text came from. */
import {
  type Direction,
  type HeadMap,
  type Shade,
  segmentsOf,
  shadesOf,
  weightsOf,
} from '../shared/attention/weights.ts';
import type { Inspection, TextPlace } from './inspection.ts';
import { paintingOf } from './painting.ts';

export interface ShadedToken {
  readonly token: number;
  readonly direction: Direction;
}

/** Offsets count in the inspected text. */
export interface ShadingReport extends ShadedToken {
  readonly layer: number;
  readonly head: number;
  readonly shades: readonly (Shade & { readonly text: string })[];
}

export class Shading {
  readonly #inspection: Inspection;
  /** Absent when the text came from no document, or from one whose offsets the tokens do not have. */
  readonly #place: TextPlace | undefined;
  readonly #listener: { dispose(): void } | undefined;
  #report: ShadingReport | undefined;

  shaded: ShadedToken | undefined;

  constructor(inspection: Inspection, place: TextPlace | undefined, onPlaceChange: () => void) {
    this.#inspection = inspection;
    this.#place = place;
    this.#listener = place?.onDidChange(onPlaceChange);
  }

  get document(): TextPlace['status'] | 'none' {
    return this.#place?.status ?? 'none';
  }

  get report(): ShadingReport | undefined {
    return this.#report;
  }

  paint(map: HeadMap, view: { readonly layer: number; readonly head: number }): void {
    if (!this.shaded) return;
    const { encoded } = this.#inspection;
    const weights = weightsOf(map, this.shaded.token, this.shaded.direction);
    const shades = shadesOf(segmentsOf(encoded.tokens), weights);
    this.#place?.paint(paintingOf({ encoded, shades, weights, ...this.shaded, ...view }));
    const texts = shades.map((shade) => ({ ...shade, text: encoded.text.slice(shade.start, shade.end) }));
    this.#report = { ...this.shaded, ...view, shades: texts };
  }

  clear(): void {
    this.#place?.clear();
    this.shaded = undefined;
    this.#report = undefined;
  }

  async reveal(token: number): Promise<void> {
    const { start = 0, end = 0 } = this.#inspection.encoded.tokens[token] ?? {};
    if (end > start) await this.#place?.reveal(start, end);
  }

  /** The token at the editor's cursor: the one after it, or the one that ends there. */
  tokenAtCursor(): number | undefined {
    const offset = this.#place?.cursorOffset();
    if (offset === undefined) return undefined;
    const { tokens } = this.#inspection.encoded;
    const after = tokens.findIndex(({ start, end }) => start <= offset && offset < end);
    const index = after >= 0 ? after : tokens.findLastIndex(({ start, end }) => start < offset && offset === end);
    return index < 0 ? undefined : index;
  }

  /** The place itself lives on: the same text may be run again. */
  dispose(): void {
    this.clear();
    this.#listener?.dispose();
  }
}
