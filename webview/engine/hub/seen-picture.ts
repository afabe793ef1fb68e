/** The picture that a vision model sees, cut and scaled as its processor does it, turned back into colours. */
import type { ImageProcessor, Tensor } from '@huggingface/transformers';
import type { Picture } from '../../../src/shared/engine-contract.ts';

type Normalisation = Pick<
  ImageProcessor,
  'image_mean' | 'image_std' | 'do_normalize' | 'do_rescale' | 'rescale_factor'
>;

/** @param pixels float32 [1, channel, row, column], normalised */
export function seenPicture(pixels: Tensor, processor: Normalisation): Pick<Picture, 'width' | 'height' | 'pixels'> {
  const [, channels = 0, height = 0, width = 0] = pixels.dims;
  const values = pixels.data as Float32Array;
  const area = width * height;
  const colours = new Uint8ClampedArray(area * 4).fill(255);
  const factor = processor.do_rescale === false ? 1 : (processor.rescale_factor ?? 1 / 255);
  for (let channel = 0; channel < 3; channel++) {
    const from = Math.min(channel, channels - 1);
    const [mean, std] = processor.do_normalize
      ? [partOf(processor.image_mean, from, 0), partOf(processor.image_std, from, 1)]
      : [0, 1];
    for (let i = 0; i < area; i++) colours[i * 4 + channel] = (values[from * area + i]! * std + mean) / factor;
  }
  return { width, height, pixels: new Uint8Array(colours.buffer) };
}

function partOf(numbers: number | readonly number[] | undefined, index: number, otherwise: number): number {
  return (Array.isArray(numbers) ? numbers[index] : (numbers as number | undefined)) ?? otherwise;
}
