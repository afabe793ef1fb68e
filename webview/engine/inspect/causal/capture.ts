/** What heads hand to the output projection while a text is read. */
import { AppError } from '../../../../src/shared/app-error.ts';
import type { Decoder } from '../../decoder.ts';
import type { TrialOptions } from './trial-runner.ts';

/** [token, heads * headDim] of some layers, from token `at` on. */
type OnRows = (layer: number, rows: Float32Array, at: number) => void;

/**
 * Reads `tokens` from an empty cache and hands over the outputs of `layers`, chunk by chunk; returns the logits
 * [vocabSize] behind the last token.
 * @throws AppError `model-unsupported` where the runtime does not give them, and what `Decoder.forward` throws.
 */
export async function captureOutputs(
  decoder: Decoder,
  tokens: readonly number[],
  layers: readonly number[],
  { arithmetic, signal, onRows }: TrialOptions & { readonly onRows: OnRows },
): Promise<Float32Array> {
  if (!decoder.hasGates)
    throw new AppError(
      'model-unsupported',
      'The runtime of this model does not show what its heads put out. Choose another model, or load it on WebAssembly.',
    );
  const cache = decoder.createCache();
  const size = Math.min(8, decoder.maxChunk); // a cancel is heard between two passes
  try {
    for (let at = 0; ; ) {
      const chunk = tokens.slice(at, at + size);
      const isLast = at + chunk.length === tokens.length;
      const { taps, logits } = await decoder.forward(cache, chunk, {
        logits: isLast ? 'last' : 'none',
        ...{ taps: layers, tapPast: false, tapOutputs: true, arithmetic },
        ...(signal && { signal }),
      });
      for (const [i, layer] of layers.entries()) onRows(layer, taps[i]!.output!, at);
      at += chunk.length;
      if (isLast) return logits;
    }
  } finally {
    cache.dispose();
  }
}
