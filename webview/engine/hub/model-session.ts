/** One loaded model that is no causal decoder, run by transformers.js: its attention can be inspected, nothing else. */
import { AppError, throwIfAborted } from '../../../src/shared/app-error.ts';
import type {
  EncodedPrompt,
  ModelInfo,
  ModelKind,
  PromptInput,
  WorkerLoadRequest,
} from '../../../src/shared/engine-contract.ts';
import { createMessageYield, Scheduler } from '../decode/scheduler.ts';
import type { SiteInspection } from '../inspect/site-inspection.ts';
import { InspectionShelf } from '../inspection-shelf.ts';
import { nameDamagedFile } from '../load-errors.ts';
import type { ModelFiles } from '../model-files.ts';
import { startOrt } from '../runtime/ort-build.ts';
import { TextCodec } from '../text/text-codec.ts';
import type { LoadSessionOptions } from '../worker-session.ts';
import { HubModel } from './hub-model.ts';
import { type InspectedRun, type RunWatch, TextModel } from './text-model.ts';
import { type InspectedPicture, VisionModel } from './vision-model.ts';

type OtherKind = Exclude<ModelKind, 'decoder'>;

export interface ModelSession {
  readonly kind: OtherKind;
  readonly info: ModelInfo;
  readonly scheduler: Scheduler;
  readonly inspections: InspectionShelf<SiteInspection>;
  readonly tappedBytes: number;
  /** @throws AppError `model-unsupported` for a vision model. */
  encode(input: PromptInput): EncodedPrompt;
  inspectText(input: PromptInput, target: PromptInput | undefined, watch: RunWatch): Promise<InspectedRun>;
  inspectPicture(bytes: Uint8Array, signal: AbortSignal): Promise<InspectedPicture>;
}

export interface ModelParts {
  readonly files: ModelFiles;
  readonly config: Readonly<Record<string, unknown>>;
  readonly kind: OtherKind;
}

/** @throws AppError `model-damaged` or `model-unsupported`, naming the file or the type of model. */
export async function loadModelSession(
  { files, config, kind }: ModelParts,
  { modelId, modelName, device }: WorkerLoadRequest,
  { onProgress, signal }: LoadSessionOptions,
): Promise<ModelSession> {
  const startedAt = performance.now();
  const compile = (done: number, message: string) => onProgress({ phase: 'compile', done, total: 2, message });
  const codec = await openCodec(files, kind);
  compile(0, 'Preparing the model: the graphs as they came');
  const ort = await startOrt(() => files.runtimeFile('ort.wasm'));
  const hub = await HubModel.load({ ort, files, config, kind }).catch((thrown) => {
    throw nameDamagedFile(thrown, 'onnx/model.onnx');
  });
  throwIfAborted(signal);
  const runner = await openRunner({ files, config, kind }, hub, codec);
  await runner.probe();
  throwIfAborted(signal);
  compile(1, 'Preparing the model: the graphs with their attention laid open');
  const refusal = await hub.layOpen();
  const inspectionRefused =
    refusal && `Attention of this model cannot be read. ${refusal} Choose another export of the model.`;
  /** Says what of the run is not shown; refuses where that is all of it. */
  const shown = async <T extends InspectedRun>(run: Promise<T>): Promise<T> => {
    if (inspectionRefused) throw new AppError('model-unsupported', inspectionRefused);
    const result = await run;
    const notes = [...result.notes, ...hub.refusals];
    if (result.stacks.length > 0) return { ...result, notes };
    throw new AppError('model-unsupported', ['No attention of this run can be shown.', ...notes].join(' '));
  };
  compile(2, 'The model is ready');
  return {
    kind,
    scheduler: new Scheduler(createMessageYield()),
    inspections: new InspectionShelf<SiteInspection>(),
    get tappedBytes() {
      return hub.tappedBytes;
    },
    info: {
      modelId,
      modelName,
      kind,
      device: 'wasm',
      deviceReason:
        device === 'webgpu'
          ? 'WebGPU runs decoders only; this model runs on WASM.'
          : 'This kind of model runs on WASM.',
      runtime: 'ort',
      runtimeReason: 'transformers.js with ONNX Runtime, because this model is no causal decoder.',
      ...hub.shape,
      vocabSize: numberOf(config, 'vocab_size'),
      contextLength: runner instanceof TextModel ? runner.contextLength : 0,
      weightsBytes: files.sizeOfGraphs,
      loadMs: performance.now() - startedAt,
      ...(inspectionRefused && { inspectionRefused }),
      hasChatTemplate: false,
    },
    encode: (input) => requireText(runner).encode(input),
    inspectText: (input, target, watch) => {
      if (target && kind !== 'encoder-decoder')
        throw new AppError('bad-input', 'Only a model with a decoder of its own takes a second text. Leave it out.');
      return shown(requireText(runner).inspect(input, target, watch));
    },
    inspectPicture: (bytes, stop) => shown(requireVision(runner).inspect(bytes, stop)),
  };
}

async function openCodec(files: ModelFiles, kind: OtherKind): Promise<TextCodec | undefined> {
  const tokenizer = kind === 'vision' ? await files.json('tokenizer.json') : await files.requiredJson('tokenizer.json');
  if (!tokenizer) return undefined;
  return new TextCodec({ tokenizer, tokenizerConfig: (await files.json('tokenizer_config.json')) ?? {} });
}

async function openRunner(
  { files, config, kind }: ModelParts,
  hub: HubModel,
  codec: TextCodec | undefined,
): Promise<TextModel | VisionModel> {
  if (kind !== 'vision') return new TextModel({ hub, codec: codec!, config, isPair: kind === 'encoder-decoder' });
  await files.requiredJson('preprocessor_config.json');
  return VisionModel.open({ hub, config, codec });
}

function requireText(runner: TextModel | VisionModel): TextModel {
  if (runner instanceof TextModel) return runner;
  throw new AppError(
    'model-unsupported',
    'This is a vision model: it reads no text. Choose “Inspect Attention of Image” on a picture in the Explorer, or another model with “Glasshead: Choose Model…”.',
  );
}

function requireVision(runner: TextModel | VisionModel): VisionModel {
  if (runner instanceof VisionModel) return runner;
  throw new AppError('model-unsupported', noPictures);
}

export const noPictures =
  'This model reads text and no pictures. Choose a folder with a vision model with “Glasshead: Choose Model…”.';

function numberOf(config: Readonly<Record<string, unknown>>, name: string): number {
  const value = config[name];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
