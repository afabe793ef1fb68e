/** Pictures through a vision model: prepared as its preprocessor_config.json says, with the patches that it makes of them. */
import { AutoImageProcessor, type ImageProcessor, RawImage, Tensor } from '@huggingface/transformers';
import { AppError, throwIfAborted } from '../../../src/shared/app-error.ts';
import type { EncodedPrompt, Picture, Token } from '../../../src/shared/engine-contract.ts';
import type { TextCodec } from '../text/text-codec.ts';
import { sortIntoStacks } from './attention-stacks.ts';
import { hubName } from './hub-files.ts';
import type { HubInputs, HubModel, WatchedRun } from './hub-model.ts';
import { findPatches, type PatchGrid, patchNames } from './patch-layout.ts';
import { seenPicture } from './seen-picture.ts';
import type { InspectedRun } from './text-model.ts';

/** Of a picture's file; one that is larger is no picture for a model that sees some hundred pixels a side. */
const mostBytes = 64 * 2 ** 20;

export interface InspectedPicture extends InspectedRun {
  /** Absent where the tokens are not the patches of a grid. */
  readonly picture?: Picture;
}

export interface VisionModelOptions {
  readonly hub: HubModel;
  readonly config: Readonly<Record<string, unknown>>;
  /** Of models that read a text beside the picture. */
  readonly codec?: TextCodec | undefined;
}

export class VisionModel {
  readonly #hub: HubModel;
  readonly #config: Readonly<Record<string, unknown>>;
  readonly #codec: TextCodec | undefined;
  readonly #processor: ImageProcessor;

  private constructor({ hub, config, codec }: VisionModelOptions, processor: ImageProcessor) {
    this.#hub = hub;
    this.#config = config;
    this.#codec = codec;
    this.#processor = processor;
  }

  /** @throws AppError `model-damaged` when preprocessor_config.json cannot be used. */
  static async open(options: VisionModelOptions): Promise<VisionModel> {
    try {
      return new VisionModel(options, await AutoImageProcessor.from_pretrained(hubName));
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new AppError('model-damaged', `The model file preprocessor_config.json cannot be used: ${message}`, {
        cause,
      });
    }
  }

  async probe(): Promise<void> {
    const side = 48;
    const pixels = Uint8ClampedArray.from({ length: side * side * 3 }, (_, i) => (i * 37) % 256);
    await this.#hub.forward(this.#inputs(await this.#prepare(new RawImage(pixels, side, side, 3))));
  }

  /** @throws AppError `bad-input` for bytes that are no picture. */
  async inspect(bytes: Uint8Array, signal: AbortSignal): Promise<InspectedPicture> {
    const pixels = await this.#prepare(await decode(bytes));
    throwIfAborted(signal);
    const run = await this.#hub.watch(() => this.#hub.forward(this.#inputs(pixels)));
    return this.#inspected(run, pixels);
  }

  #inspected({ parts, sizeBytes }: WatchedRun, pixels: Tensor): InspectedPicture {
    const [, , height = 0, width = 0] = pixels.dims;
    const counts = parts.flatMap(({ captures }) =>
      captures.filter(({ batch, queries, keys }) => batch === 1 && queries === keys).map(({ keys }) => keys),
    );
    const grid = findPatches({ width, height, counts, config: this.#config });
    const source = grid ? grid.firstPatch + grid.rows * grid.columns : Math.max(0, ...counts);
    const { stacks, notes } = sortIntoStacks(parts, { source, target: 0 });
    const encoded = describePatches(source, grid, this.#config);
    if (!grid) {
      const note = 'The tokens of this model are no grid of patches, so they are not shown on the picture.';
      return { encoded, sizeBytes, stacks, notes: [...notes, note] };
    }
    return { encoded, sizeBytes, stacks, notes, picture: { ...seenPicture(pixels, this.#processor), ...grid } };
  }

  async #prepare(image: RawImage): Promise<Tensor> {
    const { pixel_values: pixels } = (await this.#processor(image.rgb())) as { pixel_values?: Tensor };
    if (pixels?.dims.length === 4) return pixels;
    throw new AppError(
      'model-unsupported',
      'This model takes its pictures apart before it reads them. Choose another.',
    );
  }

  #inputs(pixels: Tensor): HubInputs {
    if (!this.#hub.inputNames.includes('input_ids')) return { pixel_values: pixels };
    const ids = this.#codec?.encodeWhole({ kind: 'text', text: 'a' }).tokens.map(({ id }) => BigInt(id)) ?? [0n, 1n];
    const shape = [1, ids.length];
    return {
      pixel_values: pixels,
      input_ids: new Tensor('int64', BigInt64Array.from(ids), shape),
      attention_mask: new Tensor('int64', new BigInt64Array(ids.length).fill(1n), shape),
    };
  }
}

async function decode(bytes: Uint8Array): Promise<RawImage> {
  if (bytes.length > mostBytes)
    throw new AppError('bad-input', `This picture's file has ${bytes.length} bytes. Choose a smaller one.`);
  try {
    return await RawImage.fromBlob(new Blob([new Uint8Array(bytes)]));
  } catch (cause) {
    const message = 'This file cannot be read as a picture. Choose a PNG, JPEG, WebP, GIF, BMP or AVIF file.';
    throw new AppError('bad-input', message, { cause });
  }
}

function describePatches(
  count: number,
  grid: PatchGrid | undefined,
  config: Readonly<Record<string, unknown>>,
): EncodedPrompt {
  const names = patchNames(count, grid, config);
  const first = grid?.firstPatch ?? 0;
  const tokens = names.map((text, id): Token => ({ id, text, start: 0, end: 0, isSpecial: id < first }));
  return { text: '', tokens, neutralised: [] };
}
