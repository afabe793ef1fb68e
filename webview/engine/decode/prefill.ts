/** Gives tokens to a decoder in chunks, so that progress shows, cancellation is quick and others can overtake. */
import type { Cache, Decoder, ForwardResult } from '../decoder.ts';
import type { PassTimes } from './pass-times.ts';
import type { Turn } from './scheduler.ts';

export interface PrefillOptions {
  readonly logits: 'last' | 'all' | 'none';
  readonly turn: Turn;
  /** Tokens computed so far, of those given. */
  readonly onProgress?: (done: number) => void;
  /** Told what each chunk took. */
  readonly times?: PassTimes;
  /** Logits of one chunk, when `all` are asked for: [row, vocabSize], the first row being of token `start`. */
  readonly onLogits?: (result: ForwardResult, start: number) => void;
}

/** Appends `tokens` to the cache and returns the logits of the last one, empty unless they were asked for. */
export async function prefill(
  decoder: Decoder,
  cache: Cache,
  tokens: readonly number[],
  { logits, turn, onProgress, onLogits, times }: PrefillOptions,
): Promise<Float32Array> {
  let last = new Float32Array(0);
  onProgress?.(0);
  for (let start = 0; start < tokens.length; start += decoder.maxChunk) {
    await turn.pause();
    const chunk = tokens.slice(start, start + decoder.maxChunk);
    const isLast = start + chunk.length === tokens.length;
    const wanted = logits === 'last' && !isLast ? 'none' : logits;
    const startedAt = performance.now();
    const result = await decoder.forward(cache, chunk, { logits: wanted, signal: turn.signal });
    times?.note(chunk.length, performance.now() - startedAt);
    if (logits === 'all') onLogits?.(result, start);
    if (isLast && logits !== 'none') last = Float32Array.from(result.logits.subarray(-decoder.vocabSize));
    onProgress?.(start + chunk.length);
  }
  return last;
}
