/** One loaded model with all that works on it: text, caches of past tokens, the queue, inspections. */
import * as v from 'valibot';
import { AppError } from '../../src/shared/app-error.ts';
import type { LoadProgress, ModelInfo, WorkerLoadRequest } from '../../src/shared/engine-contract.ts';
import type { AnswerParts } from './decode/answer.ts';
import { SpellingTable } from './decode/healing.ts';
import { PassTimes } from './decode/pass-times.ts';
import { PrefixCache } from './decode/prefix-cache.ts';
import { createMessageYield, Scheduler } from './decode/scheduler.ts';
import type { Decoder } from './decoder.ts';
import { loadModelSession, type ModelSession } from './hub/model-session.ts';
import type { Inspection } from './inspect/inspection.ts';
import { InspectionShelf } from './inspection-shelf.ts';
import { nameDamagedFile } from './load-errors.ts';
import { ModelFiles } from './model-files.ts';
import { modelKindOf } from './model-kind.ts';
import type { ReadFile } from './read-file.ts';
import { loadDecoder } from './runtime/load-decoder.ts';
import { TextCodec } from './text/text-codec.ts';

/** Of a causal decoder. */
export interface WorkerSession extends AnswerParts {
  readonly kind: 'decoder';
  readonly info: ModelInfo;
  readonly scheduler: Scheduler;
  readonly inspections: InspectionShelf<Inspection>;
}

export interface LoadSessionOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: LoadProgress) => void;
  readonly readFile: ReadFile;
}

const idsSchema = v.fallback(v.nullish(v.union([v.number(), v.array(v.number())])), undefined);
const configSchema = v.looseObject({ eos_token_id: idsSchema });

/** @throws AppError `model-damaged` or `model-unsupported`, naming the file. */
export async function loadSession(
  request: WorkerLoadRequest,
  options: LoadSessionOptions,
): Promise<WorkerSession | ModelSession> {
  const { modelId, modelName, files: described, ...wishes } = request;
  const startedAt = performance.now();
  const { readFile, ...watch } = options;
  const files = new ModelFiles(described, readFile);
  const config = readConfig(await files.requiredJson('config.json'));
  const kind = modelKindOf(
    config,
    request.files.map(({ path }) => path),
  );
  if (kind !== 'decoder') return loadModelSession({ files, config, kind }, request, options);
  const generationConfig = await files.json('generation_config.json');
  const codec = new TextCodec({
    tokenizer: await files.requiredJson('tokenizer.json'),
    tokenizerConfig: (await files.json('tokenizer_config.json')) ?? {},
    chatTemplate: await files.text('chat_template.jinja'),
  });
  const graph = await files.graph();
  const externalData = await files.externalData();
  const { decoder, ...loaded } = await loadDecoder(
    {
      graph: graph.bytes,
      graphPath: graph.path,
      externalData,
      config,
      ortWasm: () => files.runtimeFile('ort.wasm'),
      kernels: {
        relaxed: () => files.runtimeFile('simd-relaxed.wasm'),
        plain: () => files.runtimeFile('simd.wasm'),
        relaxedThreads: () => files.runtimeFile('simd-relaxed-threads.wasm'),
        plainThreads: () => files.runtimeFile('simd-threads.wasm'),
      },
    },
    { ...wishes, ...watch, modelId },
  ).catch((thrown) => {
    throw nameDamagedFile(thrown, graph.path);
  });
  let spelling: SpellingTable | undefined;
  return {
    kind,
    decoder,
    codec,
    caches: new PrefixCache(decoder, wishes.cacheLimitBytes),
    times: new PassTimes(decoder.batchedCost, decoder.tokensTogether),
    endIds: readEndIds(config, generationConfig, codec.eosId),
    spelling: () => {
      spelling ??= new SpellingTable(codec.tokenBytes);
      return spelling;
    },
    scheduler: new Scheduler(createMessageYield()),
    inspections: new InspectionShelf<Inspection>(),
    info: {
      modelId,
      modelName,
      kind,
      device: decoder.device,
      deviceReason: loaded.deviceReason,
      runtime: loaded.runtime,
      runtimeReason: loaded.runtimeReason,
      ...(loaded.verdict && { verdict: loaded.verdict }),
      ...describeShape(decoder),
      weightsBytes: loaded.weightsBytes,
      loadMs: performance.now() - startedAt,
      ...(loaded.inspectionRefused && { inspectionRefused: loaded.inspectionRefused }),
      hasChatTemplate: codec.hasChatTemplate,
    },
  };
}

function describeShape({ layers, heads, kvHeads, headDim, vocabSize, contextLength }: Decoder) {
  return { layers, heads, kvHeads, headDim, vocabSize, contextLength };
}

function readConfig(value: unknown): v.InferOutput<typeof configSchema> {
  const parsed = v.safeParse(configSchema, value);
  if (parsed.success) return parsed.output;
  throw new AppError('model-damaged', 'The model file config.json is not a JSON object. Reload the model.');
}

/** Whatever any of the model's files calls the end of an answer. */
function readEndIds(config: unknown, generationConfig: unknown, tokenizerEos: number | undefined): Set<number> {
  const named = [config, generationConfig].map((value) => v.safeParse(configSchema, value));
  const ids = named.flatMap((parsed) => (parsed.success ? [parsed.output.eos_token_id ?? []].flat() : []));
  return new Set(tokenizerEos === undefined ? ids : [...ids, tokenizerEos]);
}
