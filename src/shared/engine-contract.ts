/**
 * What the engine can be asked. The host calls it on the Model page, the page passes it on to the engine worker; only
 * `load` differs between the two: the worker is told no addresses, because it reads its files through the page.
 *
 * Offsets are UTF-16 code units of the text given, lengths are counts, times are milliseconds, sizes are bytes.
 */
import * as v from 'valibot';
import {
  causalOperationSchema,
  causalProgressSchema,
  causalRecordSchema,
  controlRequestSchema,
  effectMeasureSchema,
  headOperationSchema,
  headRankingSchema,
  headSchema,
} from './causal-contract.ts';
import type { Params, Progress, Result } from './peer.ts';
import { samplingSchema } from './sampling-settings.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const nothing = v.undefined();

const prioritySchema = v.picklist(['interactive', 'inline', 'background']);
/** What the user waits for, before ghost text, before everything else. */
export type Priority = v.InferOutput<typeof prioritySchema>;

const deviceChoiceSchema = v.picklist(['auto', 'webgpu', 'wasm']);
export type DeviceChoice = v.InferOutput<typeof deviceChoiceSchema>;

// --- Loading ---------------------------------------------------------------------------------------------------------

/** How a WebGPU result compared with WASM, so that it need not be measured again for the same model and adapter. */
export const verdictSchema = v.object({
  /** Model hash, adapter and engine version; a verdict holds for the same key only. */
  key: v.string(),
  device: v.picklist(['webgpu', 'wasm']),
  /** The largest number of new tokens at once that WebGPU gets right; absent: any. */
  maxChunk: v.optional(count),
  /** Whether the graph with attention laid open computes the same as the untouched one. */
  tapsEqual: v.optional(v.boolean()),
  reason: v.string(),
});
export type Verdict = v.InferOutput<typeof verdictSchema>;

const arithmeticSchema = v.picklist(['int8', 'float32']);
/** How activations of quantised layers are rounded: to 8 bits in blocks, or not at all. */
export type Arithmetic = v.InferOutput<typeof arithmeticSchema>;

const cachePrecisionSchema = v.picklist(['float32', 'float16']);
export type CachePrecision = v.InferOutput<typeof cachePrecisionSchema>;

const loadOptions = {
  device: deviceChoiceSchema,
  /** Absent: our own kernels where they know the graph, else ONNX Runtime. `simd` fails where they do not. */
  runtime: v.optional(v.picklist(['simd', 'ort'])),
  /** Of our own kernels; absent: int8. ONNX Runtime on the web computes in float32. */
  arithmetic: v.optional(arithmeticSchema),
  /** Of our own kernels; absent: float32. */
  cachePrecision: v.optional(cachePrecisionSchema),
  /** Of our own kernels, where the page is cross-origin isolated; absent or 0: as many as are good. */
  threads: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(16))),
  /** Memory that caches of past tokens may hold together. */
  cacheLimitBytes: count,
  /** Try WebGPU on a software adapter too; for tests. */
  allowSoftwareAdapter: v.optional(v.boolean()),
  knownVerdict: v.optional(verdictSchema),
};

const fileDescription = {
  /** Path inside the model folder, such as `onnx/model_q4.onnx_data`. */
  path: v.string(),
  sizeBytes: v.optional(count),
  /** Lower-case hex; checked when present. */
  sha256: v.optional(v.string()),
  /** SHA-256 of the SHA-256s, one behind the other, of each `chunkBytes` of the file: checked in its place, being quicker. */
  chunksSha256: v.optional(v.string()),
};

/**
 * Files travel in chunks of this size: large enough that messages cost nothing, small enough that a few in flight do not
 * count.
 */
export const chunkBytes = 4 * 2 ** 20;

const loadSchema = v.object({
  modelId: v.string(),
  modelName: v.string(),
  /** `url`: an address that the Model page can fetch. */
  files: v.array(v.object({ ...fileDescription, url: v.string() })),
  ...loadOptions,
});

const workerLoadSchema = v.object({
  modelId: v.string(),
  modelName: v.string(),
  files: v.array(v.object(fileDescription)),
  ...loadOptions,
});

export const loadPhaseSchema = v.picklist(['fetch', 'verify', 'compile', 'probe']);
const loadProgressSchema = v.object({
  phase: loadPhaseSchema,
  done: v.number(),
  total: v.number(),
  /** A sentence for the user, such as "Reading model_q4.onnx_data". */
  message: v.string(),
});
export type LoadProgress = v.InferOutput<typeof loadProgressSchema>;

const modelKindSchema = v.picklist(['decoder', 'encoder', 'encoder-decoder', 'vision']);
/** What a model can be asked: prompts and completions of a decoder only, attention of all. */
export type ModelKind = v.InferOutput<typeof modelKindSchema>;

export const modelInfoSchema = v.object({
  modelId: v.string(),
  modelName: v.string(),
  kind: modelKindSchema,
  device: v.picklist(['webgpu', 'wasm']),
  /** Why this device: a sentence for the Model view and the log. */
  deviceReason: v.string(),
  runtime: v.picklist(['simd', 'ort']),
  /** Which runtime this is and why it and no other: a sentence. */
  runtimeReason: v.string(),
  verdict: v.optional(verdictSchema),
  layers: count,
  heads: count,
  kvHeads: count,
  headDim: count,
  vocabSize: count,
  contextLength: count,
  weightsBytes: count,
  loadMs: v.number(),
  /** Absent when attention can be read; else a sentence that says why not. */
  inspectionRefused: v.optional(v.string()),
  hasChatTemplate: v.boolean(),
});
export type ModelInfo = v.InferOutput<typeof modelInfoSchema>;

// --- Text and tokens -------------------------------------------------------------------------------------------------

const messageSchema = v.object({ role: v.picklist(['system', 'user', 'assistant']), content: v.string() });
export type ChatMessage = v.InferOutput<typeof messageSchema>;

/**
 * What the model reads. In `chat` and in plain `text` special tokens typed by the user are text, not control;
 * `continueLast` leaves the last assistant message open, to be continued.
 */
export const promptInputSchema = v.variant('kind', [
  v.object({ kind: v.literal('text'), text: v.string() }),
  v.object({
    kind: v.literal('chat'),
    messages: v.array(messageSchema),
    continueLast: v.optional(v.boolean()),
  }),
  v.object({ kind: v.literal('ids'), ids: v.array(count) }),
]);
export type PromptInput = v.InferOutput<typeof promptInputSchema>;

const tokenSchema = v.object({
  id: count,
  /** The token's own text; bytes that are no whole character read as U+FFFD. */
  text: v.string(),
  /** Where it stands in `EncodedPrompt.text`: start inclusive, end exclusive. A token inside a character has both. */
  start: count,
  end: count,
  isSpecial: v.boolean(),
});
export type Token = v.InferOutput<typeof tokenSchema>;

const encodedPromptSchema = v.object({
  /** The text as the model sees it, chat template included. */
  text: v.string(),
  tokens: v.array(tokenSchema),
  /** Special tokens that the user had typed and that were read as plain text. */
  neutralised: v.array(v.string()),
});
export type EncodedPrompt = v.InferOutput<typeof encodedPromptSchema>;

// --- Generation ------------------------------------------------------------------------------------------------------

const alternativeSchema = v.object({
  id: count,
  text: v.string(),
  /** Natural logarithm of the probability before any filter or temperature. */
  rawLogprob: v.number(),
  /** After all of them; absent when the token was filtered out. */
  logprob: v.optional(v.number()),
});
export type Alternative = v.InferOutput<typeof alternativeSchema>;

export const tokenStepSchema = v.object({
  id: count,
  /** The text that this token completed: empty while a character is unfinished. */
  text: v.string(),
  /** Byte offsets of the token in the UTF-8 of the answer. */
  startByte: count,
  endByte: count,
  rawLogprob: v.number(),
  logprob: v.number(),
  /** Of the raw distribution, in nats. */
  entropy: v.number(),
  /** The 10 most probable tokens before filtering, the chosen one not necessarily among them. */
  alternatives: v.array(alternativeSchema),
  /** How many tokens each filter left, in the order in which they act. */
  kept: v.array(v.object({ filter: v.string(), count })),
});
export type TokenStep = v.InferOutput<typeof tokenStepSchema>;

export const generateSchema = v.object({
  input: promptInputSchema,
  /** Token ids that follow the input as they are: a branch, or an answer to be continued. */
  continuation: v.optional(v.array(count)),
  sampling: samplingSchema,
  priority: prioritySchema,
  /** The first generated tokens must spell this (token healing); it is part of the answer's text. */
  heal: v.optional(v.string()),
  /** What to do when the prompt does not fit the context. */
  overflow: v.picklist(['refuse', 'cut-start']),
  /** Fill `alternatives` and `kept`; off for completions. */
  details: v.boolean(),
  /**
   * Let the model verify several tokens at once where the text repeats itself: the same answer, sooner. Absent: for
   * inline completions.
   */
  speculation: v.optional(v.boolean()),
});
export type GenerateRequest = v.InferInput<typeof generateSchema>;

const generateProgressSchema = v.variant('kind', [
  v.object({ kind: v.literal('queued'), ahead: count }),
  /** `reused` tokens came from the prefix cache; `done` of `total` new ones are computed. */
  v.object({ kind: v.literal('prefill'), done: count, total: count, reused: count }),
  v.object({ kind: v.literal('tokens'), steps: v.array(tokenStepSchema) }),
]);
export type GenerateProgress = v.InferOutput<typeof generateProgressSchema>;

const generateResultSchema = v.object({
  /** The whole answer, without the stop string. */
  text: v.string(),
  finish: v.picklist(['end', 'stop', 'length', 'context']),
  seed: count,
  promptTokens: count,
  /** Tokens cut from the start of the prompt, with `overflow: 'cut-start'`. */
  cutTokens: count,
  reusedTokens: count,
  /** Tokens that really went through the model in prefill. */
  computedTokens: count,
  generatedTokens: count,
  /** With speculation: tokens that were guessed, and those of them that came. */
  draftedTokens: v.optional(count),
  acceptedTokens: v.optional(count),
  queuedMs: v.number(),
  prefillMs: v.number(),
  /** From the start of the work to the first token. */
  firstTokenMs: v.number(),
  decodeMs: v.number(),
  neutralised: v.array(v.string()),
});
export type GenerateResult = v.InferOutput<typeof generateResultSchema>;

// --- Inspection ------------------------------------------------------------------------------------------------------

const sequenceSchema = v.picklist(['source', 'target', 'pooling']);

/** Attention layers of one model that belong together, such as the cross attention of a translator. */
export const attentionStackSchema = v.object({
  name: v.picklist(['encoder', 'decoder', 'cross', 'pooling']),
  /** Absent keys have no weight in a causal map; every cell of the others is a weight. */
  isCausal: v.boolean(),
  layers: count,
  heads: count,
  kvHeads: count,
  /** What the rows and the columns of a map stand for. `pooling`: one query that the model has learned. */
  queries: sequenceSchema,
  keys: sequenceSchema,
});
export type AttentionStack = v.InferOutput<typeof attentionStackSchema>;

/** A picture as the model sees it, and how its patches lie on it: row by row, behind the tokens that are no patch. */
export const pictureLayoutSchema = v.object({
  width: count,
  height: count,
  rows: count,
  columns: count,
  /** Tokens before the patches, such as [CLS]. */
  firstPatch: count,
});
export type PictureLayout = v.InferOutput<typeof pictureLayoutSchema>;

const pictureSchema = v.object({
  ...pictureLayoutSchema.entries,
  pixels: v.instance(Uint8Array), // [row, column, RGBA]
});
export type Picture = v.InferOutput<typeof pictureSchema>;

const inspectionSchema = v.object({
  /** Names this run in the calls below, until `closeInspection` or until newer ones push it out. */
  inspectionId: count,
  /** The source: the text, or the patches of a picture. */
  encoded: encodedPromptSchema,
  /** What the decoder of an encoder-decoder was given, from its start token on. */
  target: v.optional(encodedPromptSchema),
  picture: v.optional(pictureSchema),
  /** At least one; the numbers below are those of the first. */
  stacks: v.array(attentionStackSchema),
  layers: count,
  heads: count,
  kvHeads: count,
  runMs: v.number(),
  /** Sentences on what of this run is not shown, and why. */
  notes: v.optional(v.array(v.string())),
});
export type Inspection = v.InferOutput<typeof inspectionSchema>;

/** What a causal test reads and measures. */
const causalRequest = {
  input: promptInputSchema,
  continuation: v.optional(v.array(count)),
  measure: effectMeasureSchema,
  /** The position whose prediction of the next token is measured; absent: the last. */
  at: v.optional(count),
  control: controlRequestSchema,
  /** Absent: float32. */
  arithmetic: v.optional(arithmeticSchema),
  priority: prioritySchema,
};

/** `stack`: index into the stacks of the inspection; absent: the first. */
const headAddress = { inspectionId: count, stack: v.optional(count), layer: count, head: count };

export const headMapSchema = v.object({
  weights: v.instance(Float32Array),
  /** Queries; the keys are as many where `keys` does not say otherwise. */
  tokens: count,
  keys: v.optional(count),
  /** Every query sees every key; absent in causal maps. */
  isBidirectional: v.optional(v.boolean()),
});

export const engineMethods = {
  encode: {
    params: v.object({ input: promptInputSchema }),
    progress: nothing,
    result: encodedPromptSchema,
  },
  generate: { params: generateSchema, progress: generateProgressSchema, result: generateResultSchema },
  /** Log-probabilities of tokens that are already there, read in one go: row i is what follows `ids[i]`. */
  score: {
    params: v.object({
      ids: v.array(count),
      priority: prioritySchema,
      /** The most probable tokens to report at every position. */
      top: count,
      /** Further tokens to report, per position. */
      wanted: v.optional(v.array(v.array(count))),
    }),
    progress: v.object({ done: count, total: count }),
    result: v.object({
      topIds: v.instance(Int32Array), // [position, top]
      topLogprobs: v.instance(Float32Array), // [position, top]
      /** The lists of `wanted`, one after the other. */
      wantedLogprobs: v.instance(Float32Array),
      /** Of the token that does follow; one shorter than `ids`. */
      nextLogprobs: v.instance(Float32Array),
    }),
  },
  /** Runs the text once and keeps what attention is computed from. */
  inspect: {
    params: v.object({
      input: promptInputSchema,
      continuation: v.optional(v.array(count)),
      /** What the decoder of an encoder-decoder is to read; absent: its own greedy answer. Ids are taken as they are. */
      target: v.optional(promptInputSchema),
      priority: prioritySchema,
    }),
    progress: v.object({ done: count, total: count }),
    result: inspectionSchema,
  },
  /** The same for a picture and a vision model; `bytes` is a file such as a PNG. */
  inspectPicture: {
    params: v.object({ bytes: v.instance(Uint8Array), priority: prioritySchema }),
    progress: v.object({ done: count, total: count }),
    result: inspectionSchema,
  },
  /** One head: weights float32 [query, key], rows sum to 1; where `isCausal`, keys after the query are 0. */
  attentionMap: {
    params: v.object(headAddress),
    progress: nothing,
    result: headMapSchema,
  },
  /** All heads of some layers, each as its largest weight per cell of a size x size grid, 0..255. */
  attentionThumbnails: {
    params: v.object({ inspectionId: count, stack: v.optional(count), layers: v.array(count), size: count }),
    progress: nothing,
    result: v.object({ pixels: v.instance(Uint8Array), size: count }), // [layer, head, row, column]
  },
  closeInspection: { params: v.object({ inspectionId: count }), progress: nothing, result: nothing },
  /** Changes something in attention and compares the prediction of one position: docs/causal-tests.md. */
  causalTest: {
    params: v.object({ ...causalRequest, operation: causalOperationSchema }),
    progress: causalProgressSchema,
    result: causalRecordSchema,
  },
  /** The same for each head in turn; `heads` absent: all. */
  rankHeads: {
    params: v.object({ ...causalRequest, operation: headOperationSchema, heads: v.optional(v.array(headSchema)) }),
    progress: causalProgressSchema,
    result: headRankingSchema,
  },
  /** Memory and counters, for the Model view and for tests. */
  stats: {
    params: nothing,
    progress: nothing,
    result: v.object({
      wasmBytes: count,
      cacheBytes: count,
      caches: count,
      /** Tokens that went through the model since load. */
      forwardedTokens: count,
      /** Bytes of tapped tensors fetched since load: 0 while nobody inspects. */
      tappedBytes: count,
    }),
  },
} as const;

/** What the host calls on the Model page. */
export const engineContract = {
  ...engineMethods,
  load: { params: loadSchema, progress: loadProgressSchema, result: modelInfoSchema },
  unload: { params: nothing, progress: nothing, result: nothing },
} as const;
type EngineContract = typeof engineContract;

/** What the Model page calls on the worker. */
export const workerContract = {
  ...engineMethods,
  load: { params: workerLoadSchema, progress: loadProgressSchema, result: modelInfoSchema },
} as const;
export type WorkerContract = typeof workerContract;

/** WebAssembly that is shipped with the extension and read when it is needed. */
const runtimeFiles = [
  ...(['ort.wasm', 'simd-relaxed.wasm', 'simd.wasm'] as const),
  ...(['simd-relaxed-threads.wasm', 'simd-threads.wasm'] as const),
] as const;
export type RuntimeFile = (typeof runtimeFiles)[number];

/** What the worker calls on the Model page while it loads: a worker made from a blob cannot fetch. */
export const fileContract = {
  /**
   * The bytes of one file come as progress, in order, each chunk moved to the worker; the result is their number. A file
   * that is missing, cut, too long or altered rejects with `model-damaged`: chunks that came before are worth nothing.
   */
  readFile: {
    params: v.variant('folder', [
      v.object({ folder: v.literal('model'), path: v.string() }),
      v.object({ folder: v.literal('runtime'), path: v.picklist(runtimeFiles) }),
    ]),
    progress: v.object({ chunk: v.instance(ArrayBuffer) }),
    result: v.object({ sizeBytes: count }),
  },
} as const;
export type FileContract = typeof fileContract;

export type LoadRequest = Params<EngineContract, 'load'>;
export type WorkerLoadRequest = Params<WorkerContract, 'load'>;
export type EngineStats = Result<EngineContract, 'stats'>;
export type EngineProgress<M extends keyof EngineContract> = Progress<EngineContract, M>;
