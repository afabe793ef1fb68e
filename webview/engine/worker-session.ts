/** One loaded model with all that works on it: text, caches of past tokens, the queue, inspections. */
import * as v from 'valibot';
import { AppError } from '../../src/shared/app-error.ts';
import type { LoadProgress, ModelInfo, WorkerLoadRequest } from '../../src/shared/engine-contract.ts';
import type { AnswerParts } from './decode/answer.ts';
import { SpellingTable } from './decode/healing.ts';
import { PrefixCache } from './decode/prefix-cache.ts';
import { createMessageYield, Scheduler } from './decode/scheduler.ts';
import type { Decoder } from './decoder.ts';
import type { Inspection } from './inspect/inspection.ts';
import { InspectionShelf } from './inspection-shelf.ts';
import { nameDamagedFile } from './load-errors.ts';
import { ModelFiles } from './model-files.ts';
import { loadDecoder } from './runtime/load-decoder.ts';
import { TextCodec } from './text/text-codec.ts';

export interface WorkerSession extends AnswerParts {
  readonly info: ModelInfo;
  readonly scheduler: Scheduler;
  readonly inspections: InspectionShelf<Inspection>;
}

export interface LoadSessionOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: LoadProgress) => void;
}

const idsSchema = v.fallback(v.nullish(v.union([v.number(), v.array(v.number())])), undefined);
const configSchema = v.looseObject({ eos_token_id: idsSchema });

/** @throws AppError `model-damaged` or `model-unsupported`, naming the file. */
export async function loadSession(request: WorkerLoadRequest, options: LoadSessionOptions): Promise<WorkerSession> {
  const { modelId, modelName, device, allowSoftwareAdapter, knownVerdict, cacheLimitBytes } = request;
  const startedAt = performance.now();
  const files = new ModelFiles(request.files);
  const config = readConfig(files.requiredJson('config.json'));
  const codec = new TextCodec({
    tokenizer: files.requiredJson('tokenizer.json'),
    tokenizerConfig: files.json('tokenizer_config.json') ?? {},
    chatTemplate: files.text('chat_template.jinja'),
  });
  const { graph, externalData, ortWasm } = files;
  const { decoder, ...loaded } = await loadDecoder(
    { graph: graph.bytes, graphPath: graph.path, externalData, config, ortWasm },
    {
      device,
      modelId,
      ...options,
      ...(allowSoftwareAdapter !== undefined && { allowSoftwareAdapter }),
      ...(knownVerdict && { knownVerdict }),
    },
  ).catch((thrown) => {
    throw nameDamagedFile(thrown, graph.path);
  });
  let spelling: SpellingTable | undefined;
  return {
    decoder,
    codec,
    caches: new PrefixCache(decoder, cacheLimitBytes),
    endIds: readEndIds(config, files.json('generation_config.json'), codec.eosId),
    spelling: () => {
      spelling ??= new SpellingTable(codec.tokenBytes);
      return spelling;
    },
    scheduler: new Scheduler(createMessageYield()),
    inspections: new InspectionShelf<Inspection>(),
    info: {
      modelId,
      modelName,
      device: decoder.device,
      deviceReason: loaded.deviceReason,
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
