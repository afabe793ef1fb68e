/**
 * Measures whether WebGPU computes the same model as WebAssembly. Prompts of 8, 33 and 200 tokens, because kernels differ
 * by the number of new tokens: ONNX Runtime 1.31's GroupQueryAttention is wrong for 32 or more at once on adapters with
 * small subgroups, without an error.
 */
import { AppError, throwIfAborted } from '../../../src/shared/app-error.ts';
import type { Decoder } from '../decoder.ts';
import { compareLogits, isSameModel, type LogitsDifference } from './compare-logits.ts';

/** The first is also what the tap check compares. */
const promptLengths = [8, 33, 200] as const;
/** What WebGPU has been seen to get right where larger steps are wrong. */
const safeStep = 31;
/** The largest step that the probe has seen, and so the largest that is used. */
export const largestStep = 200;

export interface ProbeReference {
  /** Of the first prompt, run alone: [row, vocabSize]. */
  readonly short: Float32Array;
  /** Of the longest; those of the others are its first rows, since nothing depends on what follows it. */
  readonly long: Float32Array;
}

export interface ProbeWatch {
  readonly signal?: AbortSignal | undefined;
  onProgress(done: number, total: number): void;
}

export type ProbeResult =
  | { readonly isRight: true; readonly maxChunk?: number; readonly worst: LogitsDifference; readonly fault?: string }
  | { readonly isRight: false; readonly fault: string; readonly length: number };

/** The same tokens every time, spread over the vocabulary; they repeat, so that the model is sure of some of them. */
function probeTokens(vocabSize: number, count: number = largestStep): number[] {
  const period = 40;
  return Array.from({ length: count }, (_, i) => 3 + ((((i % period) + 1) * 7919) % Math.max(1, vocabSize - 3)));
}

export async function sampleLogits(decoder: Decoder): Promise<Float32Array> {
  const length = Math.min(promptLengths[0], decoder.contextLength);
  return logitsOf(decoder, length, length, undefined);
}

export async function takeReference(
  decoder: Decoder,
  watch: ProbeWatch,
  longest: number = largestStep,
): Promise<ProbeReference> {
  const short = await sampleLogits(decoder);
  return {
    short,
    long: await logitsOf(decoder, Math.min(longest, decoder.contextLength), decoder.maxChunk, watch),
  };
}

/** `decoder` must take `largestStep` tokens at once. Fewer lengths are for tests on slow adapters. */
export async function probe(
  decoder: Decoder,
  reference: ProbeReference,
  watch: ProbeWatch,
  lengths: readonly number[] = promptLengths,
): Promise<ProbeResult> {
  const inOneStep = await probeSteps(decoder, reference, { lengths, step: largestStep, watch });
  if (inOneStep.isRight) return inOneStep;
  if (inOneStep.length <= safeStep) return inOneStep;
  const longer = lengths.filter((length) => length > safeStep); // the others were one small step, and right
  const inSmallSteps = await probeSteps(decoder, reference, { lengths: longer, step: safeStep, watch });
  if (!inSmallSteps.isRight) return inSmallSteps;
  return { ...inSmallSteps, maxChunk: safeStep, fault: inOneStep.fault };
}

async function probeSteps(
  decoder: Decoder,
  { short, long }: ProbeReference,
  { lengths, step, watch }: { lengths: readonly number[]; step: number; watch: ProbeWatch },
): Promise<ProbeResult> {
  let worst: LogitsDifference = { rows: 0, sameTop: 0, ofRange: 0, absolute: 0 };
  for (const wanted of lengths) {
    const length = Math.min(wanted, decoder.contextLength);
    const logits = await logitsOf(decoder, length, step, watch);
    const expected = wanted === promptLengths[0] ? short : long.subarray(0, length * decoder.vocabSize);
    const difference = compareLogits(expected, logits, decoder.vocabSize);
    if (!isSameModel(difference)) return { isRight: false, fault: describe(difference, length, step), length };
    if (difference.ofRange >= worst.ofRange) worst = difference;
  }
  return { isRight: true, worst };
}

function describe({ rows, sameTop, ofRange }: LogitsDifference, length: number, step: number): string {
  const share = Math.floor((100 * sameTop) / rows);
  const apart = Number.isFinite(ofRange)
    ? `up to ${(100 * ofRange).toFixed(1)} % of their range off`
    : 'not all numbers';
  return `with ${Math.min(length, step)} tokens at once the top token is right at ${share} % of the positions, logits are ${apart}`;
}

async function logitsOf(
  decoder: Decoder,
  length: number,
  step: number,
  watch: ProbeWatch | undefined,
): Promise<Float32Array> {
  const tokens = probeTokens(decoder.vocabSize, length);
  const logits = new Float32Array(length * decoder.vocabSize);
  const cache = decoder.createCache();
  try {
    for (let done = 0; done < length; done += step) {
      throwIfAborted(watch?.signal);
      watch?.onProgress(done, length);
      const chunk = tokens.slice(done, done + step);
      const result = await decoder.forward(cache, chunk, { logits: 'all' });
      if (result.logits.length !== chunk.length * decoder.vocabSize)
        throw new AppError('engine-failed', 'The model returned another number of logits than was asked for.');
      logits.set(result.logits, done * decoder.vocabSize);
    }
  } finally {
    cache.dispose();
  }
  return logits;
}
