/** Whether the edited graph computes what the untouched one does. */
import type { Decoder } from '../decoder.ts';
import { compareLogits } from './compare-logits.ts';
import { tapRefusal } from './output-agreement.ts';
import { sampleLogits } from './probe.ts';

/** Logits of the same kernels on the same numbers differ by less than this, or not at all. */
const tolerance = 1e-5;

/** A sentence when the graphs differ, for `sample` of the untouched graph on the same device. */
export async function checkTaps(edited: Decoder, sample: Float32Array): Promise<string | undefined> {
  const { absolute } = compareLogits(sample, await sampleLogits(edited), edited.vocabSize);
  return absolute <= tolerance ? undefined : tapRefusal({ output: 'logits', difference: absolute });
}
