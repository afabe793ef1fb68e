/**
 * What attention is computed from, for one run over one text: queries, keys and values of every layer. Maps and
 * thumbnails are computed when asked for and not kept: memory is O(layers (heads + 2 kvHeads) n headDim), never n x n.
 */
import { AppError, throwIfAborted } from '../../../src/shared/app-error.ts';
import type { AttentionSpec, Cache, Decoder, LayerTap } from '../decoder.ts';
import { nextTask } from '../runtime/next-task.ts';
import { forEachRow, type HeadShape } from './attention-rows.ts';
import { drawThumbnail } from './thumbnail.ts';

export interface InspectionOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Queries, keys and values of a text that fills the context of the bundled model take 0.9 GiB. */
const limitBytes = 2 ** 30;

/**
 * Runs `tokens` once, from an empty cache, and keeps what attention is computed from.
 * @throws AppError `model-unsupported` when attention cannot be read, `context-overflow`, `out-of-memory`, `cancelled`.
 */
export async function createInspection(
  decoder: Decoder,
  tokens: readonly number[],
  { signal, onProgress }: InspectionOptions = {},
): Promise<Inspection> {
  const { attention, layers, heads, kvHeads, headDim, maxChunk } = decoder;
  if ('refused' in attention) throw new AppError('model-unsupported', attention.refused);
  if (tokens.length === 0) throw new AppError('bad-input', 'There is no text to inspect.');
  const needed = layers * (heads + 2 * kvHeads) * tokens.length * headDim * 4;
  if (needed > limitBytes)
    throw new AppError(
      'out-of-memory',
      `Inspecting ${tokens.length} tokens takes ${(needed / 2 ** 30).toFixed(1)} GiB of memory. Select less text.`,
    );

  const all = Array.from({ length: layers }, (_, layer) => layer);
  const queries = all.map(() => new Float32Array(heads * tokens.length * headDim));
  const firstKeys = all.map(() => new Int32Array(tokens.length));
  let last: readonly LayerTap[] = [];
  const cache: Cache = decoder.createCache();
  try {
    for (let done = 0; done < tokens.length; ) {
      onProgress?.(done, tokens.length);
      const chunk = tokens.slice(done, done + maxChunk);
      const isLast = done + chunk.length === tokens.length;
      const tapPast = isLast;
      const { taps } = await decoder.forward(cache, chunk, {
        logits: 'none',
        taps: all,
        tapPast,
        arithmetic: 'float32',
        ...(signal && { signal }),
      });
      for (const layer of all) {
        placeRows(queries[layer]!, taps[layer]!.query, done, { heads, headDim, total: tokens.length });
        firstKeys[layer]!.set(taps[layer]!.rule?.firstKeys ?? [], done);
      }
      last = taps;
      done += chunk.length;
    }
  } finally {
    cache.dispose();
  }
  onProgress?.(tokens.length, tokens.length);
  const taps = all.map((layer): LayerTap => {
    const { key, value, rule } = last[layer]!;
    return { query: queries[layer]!, key, value, ...(rule && { rule: { ...rule, firstKeys: firstKeys[layer]! } }) };
  });
  return new Inspection(taps, attention, { heads, kvHeads, headDim });
}

/** Rows [head, token of the chunk, headDim] into [head, token, headDim], from token `at` on. */
function placeRows(
  into: Float32Array,
  rows: Float32Array,
  at: number,
  { heads, headDim, total }: { heads: number; headDim: number; total: number },
): void {
  const size = rows.length / heads;
  for (let head = 0; head < heads; head++)
    into.set(rows.subarray(head * size, (head + 1) * size), (head * total + at) * headDim);
}

export class Inspection {
  readonly tokens: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly sizeBytes: number;
  readonly #specs: readonly AttentionSpec[];
  readonly #shape: HeadShape;
  #taps: readonly LayerTap[];

  constructor(taps: readonly LayerTap[], specs: readonly AttentionSpec[], shape: HeadShape) {
    this.#taps = taps;
    this.#specs = specs;
    this.#shape = shape;
    this.layers = taps.length;
    this.heads = shape.heads;
    this.kvHeads = shape.kvHeads;
    this.tokens = (taps[0]?.query.length ?? 0) / (shape.heads * shape.headDim);
    this.sizeBytes = taps.reduce(
      (sum, tap) => sum + tap.query.byteLength + tap.key.byteLength + tap.value.byteLength,
      0,
    );
  }

  /** Weights of one head: [query, key]; rows sum to 1, keys that the query does not see are 0. */
  map(layer: number, head: number): Float32Array<ArrayBuffer> {
    const n = this.tokens;
    const weights = new Float32Array(n * n);
    this.#rows(layer, head, (query, row, firstKey) => weights.set(row, query * n + firstKey));
    return weights;
  }

  /**
   * All heads of some layers: [layer, head, row, column], each cell the largest weight of the queries and keys that it
   * covers, 0..255 for 0..1. Between heads other work of the worker gets its turn.
   */
  async thumbnails(layers: readonly number[], size: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const pixels = new Uint8Array(layers.length * this.heads * size * size);
    for (const [index, layer] of layers.entries())
      for (let head = 0; head < this.heads; head++) {
        await nextTask();
        throwIfAborted(signal);
        const start = (index * this.heads + head) * size * size;
        this.#thumbnail(layer, head, size, pixels.subarray(start, start + size * size));
      }
    return pixels;
  }

  dispose(): void {
    this.#taps = [];
  }

  #thumbnail(layer: number, head: number, size: number, pixels: Uint8Array): void {
    const n = this.tokens;
    drawThumbnail({ queries: n, keys: n, size }, (onRow) => this.#rows(layer, head, onRow), pixels);
  }

  #rows(layer: number, head: number, onRow: (query: number, weights: Float32Array, firstKey: number) => void): void {
    if (this.#taps.length === 0) throw new AppError('bad-input', 'This inspection was closed. Inspect the text again.');
    const tap = this.#taps[layer];
    if (!tap || !(head >= 0 && head < this.heads) || !Number.isInteger(head))
      throw new AppError('bad-input', `There is no head ${head} in layer ${layer}.`);
    forEachRow(tap, this.#shape, this.#specs[layer]!, head, onRow);
  }
}
