/**
 * What attention is computed from, for one run of a model with several attentions: stacks of layers, each with its own
 * queries and keys. Maps and thumbnails are computed when asked for and not kept.
 */
import { AppError, throwIfAborted } from '../../../src/shared/app-error.ts';
import type { AttentionStack } from '../../../src/shared/engine-contract.ts';
import { nextTask } from '../runtime/next-task.ts';
import type { AttentionCapture } from './read-attention.ts';
import { drawThumbnail } from './thumbnail.ts';

/** The stack as it is told, and its layers. */
export interface CapturedStack extends AttentionStack {
  readonly captures: readonly AttentionCapture[];
}

export interface StackMap {
  readonly weights: Float32Array<ArrayBuffer>; // [query, key]
  readonly tokens: number;
  readonly keys: number;
  readonly isBidirectional: boolean;
}

export class SiteInspection {
  readonly sizeBytes: number;
  #stacks: readonly CapturedStack[];

  constructor(stacks: readonly CapturedStack[], sizeBytes: number) {
    this.#stacks = stacks;
    this.sizeBytes = sizeBytes;
  }

  get stacks(): AttentionStack[] {
    return this.#stacks.map(({ captures: _, ...stack }) => stack);
  }

  /** Weights of one head: rows sum to 1, but for a learned sink. @throws AppError `bad-input` for what is not there. */
  map(layer: number, head: number, stack = 0): StackMap {
    const { capture, isCausal } = this.#find(stack, layer, head);
    const weights = capture.map(0, head);
    return { weights, tokens: capture.queries, keys: capture.keys, isBidirectional: !isCausal };
  }

  /** All heads of some layers: [layer, head, row, column], 0..255 for 0..1. Between heads others get their turn. */
  async thumbnails(
    layers: readonly number[],
    size: number,
    { stack = 0, signal }: { stack?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    const heads = this.#stacks[stack]?.heads ?? 0;
    const pixels = new Uint8Array(layers.length * heads * size * size);
    for (const [index, layer] of layers.entries())
      for (let head = 0; head < heads; head++) {
        await nextTask();
        throwIfAborted(signal);
        const { capture } = this.#find(stack, layer, head);
        const start = (index * heads + head) * size * size;
        const forEachRow = (onRow: (query: number, row: Float32Array, firstKey: number) => void) => {
          for (let query = 0; query < capture.queries; query++) onRow(query, capture.row(0, head, query), 0);
        };
        const { queries, keys } = capture;
        drawThumbnail({ queries, keys, size }, forEachRow, pixels.subarray(start, start + size * size));
      }
    return pixels;
  }

  dispose(): void {
    this.#stacks = [];
  }

  #find(stack: number, layer: number, head: number): { capture: AttentionCapture; isCausal: boolean } {
    if (this.#stacks.length === 0)
      throw new AppError('bad-input', 'This inspection was closed. Inspect the text again.');
    const found = this.#stacks[stack];
    const capture = found?.captures[layer];
    if (!found || !capture || !(Number.isInteger(head) && head >= 0 && head < found.heads))
      throw new AppError('bad-input', `There is no head ${head} in layer ${layer} of attention ${stack}.`);
    return { capture, isCausal: found.isCausal };
  }
}
