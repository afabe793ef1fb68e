/** What is shaded just now: one token's weights in one head, on the document that the inspected text came from. */
import {
  type Direction,
  type HeadMap,
  type Shade,
  segmentsOf,
  shadesOf,
  weightsOf,
} from '../shared/attention/weights.ts';
import type { EncodedPrompt } from '../shared/engine-contract.ts';
import type { HeadPlace, Inspection, TextPlace } from './inspection.ts';
import { paintingOf } from './painting.ts';

export interface ShadedToken {
  readonly token: number;
  readonly direction: Direction;
}

/** Offsets count in the inspected text. */
export interface ShadingReport extends ShadedToken, HeadPlace {
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

  /** Only what stands in the document is painted there: of a translator's attention to its own answer, nothing is. */
  paint(map: HeadMap, view: HeadPlace): void {
    if (!this.shaded) return;
    const { token, direction } = this.shaded;
    const [asked, other] = this.#sequences(view.stack, direction);
    const weights = weightsOf(map, token, direction);
    const shades = shadesOf(segmentsOf(other.tokens), weights);
    const source = this.#inspection.encoded;
    if (asked === source || other === source) {
      const painting = paintingOf({ asked, other, shades, weights, ...this.shaded, ...view });
      this.#place?.paint({
        shades: other === source ? painting.shades : [],
        mark: asked === source ? painting.mark : { start: 0, end: 0, hover: '' },
      });
    } else this.#place?.clear();
    const texts = shades.map((shade) => ({ ...shade, text: other.text.slice(shade.start, shade.end) }));
    this.#report = { ...this.shaded, ...view, shades: texts };
  }

  clear(): void {
    this.#place?.clear();
    this.shaded = undefined;
    this.#report = undefined;
  }

  async reveal(token: number, stack: number): Promise<void> {
    const [asked] = this.#sequences(stack, this.shaded?.direction ?? 'attends');
    const { start = 0, end = 0 } = asked.tokens[token] ?? {};
    if (asked === this.#inspection.encoded && end > start) await this.#place?.reveal(start, end);
  }

  /** The tokens that are asked about, and those that get the shades. */
  #sequences(stack: number, direction: Direction): [EncodedPrompt, EncodedPrompt] {
    const queries = this.#inspection.sequence(stack, 'queries');
    const keys = this.#inspection.sequence(stack, 'keys');
    return direction === 'attends' ? [queries, keys] : [keys, queries];
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
