/** What the worker does for each method of its contract. Work on the model goes through the queue. */
import { AppError, toAppError } from '../../src/shared/app-error.ts';
import type {
  EngineStats,
  FileContract,
  Inspection as InspectionResult,
  Priority,
  WorkerContract,
} from '../../src/shared/engine-contract.ts';
import { type Caller, type HandlerContext, type Handlers, Transfer } from '../../src/shared/peer.ts';
import { createCausalHandlers } from './causal-handlers.ts';
import { generateAnswer } from './decode/answer.ts';
import type { Turn } from './decode/scheduler.ts';
import { scoreTokens } from './decode/score.ts';
import type { Decoder } from './decoder.ts';
import { type ModelSession, noPictures } from './hub/model-session.ts';
import type { InspectedPicture } from './hub/vision-model.ts';
import { createInspection } from './inspect/inspection.ts';
import { SiteInspection } from './inspect/site-inspection.ts';
import { noPrompts } from './model-kind.ts';
import { readThrough } from './read-file.ts';
import { type LoadSessionOptions, loadSession, type WorkerSession } from './worker-session.ts';

/** `page` is where the files of a model come from. */
export function createHandlers(
  page: Caller<FileContract>,
  load: typeof loadSession = loadSession,
): Handlers<WorkerContract> {
  let session: WorkerSession | ModelSession | undefined;
  let failure: AppError | undefined;

  const loaded = (): WorkerSession | ModelSession => {
    if (failure) throw failure;
    if (!session) throw new AppError('no-model', 'No model is loaded. Load one in the Model view.');
    return session;
  };

  const current = (): WorkerSession => {
    const any = loaded();
    if (any.kind !== 'decoder') throw noPrompts(any.info.modelName, any.kind);
    return any;
  };

  /** A runtime that threw once is in an unknown state: it is never asked again. */
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'engine-failed')
        failure ??= new AppError('engine-failed', `${error.message} The engine has to be restarted.`, { cause: error });
      throw error;
    }
  };

  const queued = <T>(
    { signal }: Pick<HandlerContext<never>, 'signal'>,
    { priority, onQueued }: { priority: Priority; onQueued?: (ahead: number) => void },
    work: (session: WorkerSession, turn: Turn) => Promise<T>,
  ): Promise<T> => {
    const { scheduler } = current();
    const options = { priority, signal, ...(onQueued && { onQueued }) };
    return scheduler.run(options, (turn) => guarded(() => work(current(), turn)));
  };

  /** Of a model that is no decoder. */
  const queuedOther = <T>(
    other: ModelSession,
    { signal }: Pick<HandlerContext<never>, 'signal'>,
    { priority }: { priority: Priority },
    work: (turn: Turn) => Promise<T>,
  ): Promise<T> => other.scheduler.run({ priority, signal }, (turn) => guarded(() => work(turn)));

  return {
    load: async (request, { signal, progress }) => {
      if (session) throw new AppError('bad-input', 'This worker has a model already. Start a fresh one.');
      const options: LoadSessionOptions = { signal, onProgress: progress, readFile: readThrough(page, signal) };
      session = await guarded(() => load(request, options));
      return session.info;
    },

    encode: ({ input }) => {
      const any = loaded();
      if (any.kind === 'decoder') return any.codec.encode(input);
      if (input.kind === 'chat') throw noPrompts(any.info.modelName, any.kind); // a prompt is encoded before it is run
      return any.encode(input);
    },

    generate: (request, context) => {
      const calledAt = performance.now();
      const onQueued = (ahead: number) => context.progress({ kind: 'queued', ahead });
      return queued(context, { priority: request.priority, onQueued }, (parts, turn) =>
        generateAnswer(parts, request, {
          turn,
          onProgress: context.progress,
          freshSeed: () => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
          queuedMs: performance.now() - calledAt,
        }),
      );
    },

    score: (request, context) =>
      queued(context, { priority: request.priority }, async ({ decoder }, turn) => {
        const onProgress = (done: number) => context.progress({ done, total: request.ids.length });
        const result = await scoreTokens(decoder, request, { turn, onProgress });
        return new Transfer(result, Object.values(result).map((array) => array.buffer) as ArrayBuffer[]);
      }),

    inspect: ({ input, continuation = [], target, priority }, context) => {
      const any = loaded();
      const startedAt = performance.now();
      const onProgress = (done: number, total: number) => context.progress({ done, total });
      if (any.kind !== 'decoder')
        return queuedOther(any, context, { priority }, async ({ signal }) =>
          shelve(any, await any.inspectText(input, target, { signal, onProgress }), startedAt),
        );
      return queued(context, { priority }, async ({ decoder, codec, inspections }, turn) => {
        const encoded = codec.encodeWith(input, continuation);
        const ids = encoded.tokens.map(({ id }) => id);
        const inspection = await createInspection(paced(decoder, turn), ids, { signal: turn.signal, onProgress });
        const inspectionId = inspections.add(inspection);
        const { layers, heads, kvHeads } = decoder;
        const stack = { name: 'decoder', isCausal: true, queries: 'source', keys: 'source' } as const;
        const stacks = [{ ...stack, layers, heads, kvHeads }];
        return { inspectionId, encoded, stacks, layers, heads, kvHeads, runMs: performance.now() - startedAt };
      });
    },

    inspectPicture: ({ bytes, priority }, context) => {
      const any = loaded();
      const startedAt = performance.now();
      if (any.kind === 'decoder') throw new AppError('model-unsupported', noPictures);
      return queuedOther(any, context, { priority }, async ({ signal }) =>
        shelve(any, await any.inspectPicture(bytes, signal), startedAt),
      );
    },

    attentionMap: ({ inspectionId, stack, layer, head }) => {
      const inspection = loaded().inspections.get(inspectionId);
      if (inspection instanceof SiteInspection) {
        const map = inspection.map(layer, head, stack);
        return new Transfer(map, [map.weights.buffer]);
      }
      requireOnly(stack);
      const weights = inspection.map(layer, head);
      return new Transfer({ weights, tokens: inspection.tokens }, [weights.buffer]);
    },

    attentionThumbnails: async ({ inspectionId, stack, layers, size }, { signal }) => {
      const inspection = loaded().inspections.get(inspectionId);
      if (!(inspection instanceof SiteInspection)) requireOnly(stack);
      const pixels = await (inspection instanceof SiteInspection
        ? inspection.thumbnails(layers, size, { stack, signal })
        : inspection.thumbnails(layers, size, signal));
      return new Transfer({ pixels, size }, [pixels.buffer]);
    },

    ...createCausalHandlers((context, { priority }, work) =>
      queued(context, { priority }, (parts, turn) => work(parts, paced(parts.decoder, turn), turn.signal)),
    ),

    closeInspection: ({ inspectionId }) => loaded().inspections.close(inspectionId),

    stats: (): EngineStats => {
      const any = loaded();
      if (any.kind !== 'decoder') {
        const { tappedBytes } = any;
        return { wasmBytes: 0, cacheBytes: 0, caches: 0, forwardedTokens: 0, tappedBytes };
      }
      const { decoder, caches } = any;
      return {
        wasmBytes: decoder.counters.wasmBytes ?? 0,
        cacheBytes: Math.round(caches.sizeBytes),
        caches: caches.count,
        forwardedTokens: decoder.counters.forwardedTokens,
        tappedBytes: decoder.counters.tappedBytes,
      };
    },
  };
}

/** Keeps what maps are computed from, and says what it is. */
function shelve(
  { inspections }: ModelSession,
  { stacks, sizeBytes, notes, encoded, target, picture }: InspectedPicture,
  startedAt: number,
): InspectionResult {
  const inspection = new SiteInspection(stacks, sizeBytes);
  const told = inspection.stacks;
  const { layers, heads, kvHeads } = told[0]!;
  return {
    inspectionId: inspections.add(inspection),
    encoded,
    ...(target && { target }),
    ...(picture && { picture }),
    stacks: told,
    ...{ layers, heads, kvHeads, notes: [...notes] },
    runMs: performance.now() - startedAt,
  };
}

function requireOnly(stack = 0): void {
  if (stack !== 0) throw new AppError('bad-input', 'A decoder has one attention, number 0.');
}

/** The decoder, with a pause before each of its runs in which others may overtake. */
function paced(decoder: Decoder, turn: Turn): Decoder {
  const { layers, heads, kvHeads, headDim, vocabSize, contextLength, maxChunk, device } = decoder;
  const { hasGates, hasPatches = false, hasCuts = false, attention, counters } = decoder;
  const { forwardBatch } = decoder;
  return {
    ...{ layers, heads, kvHeads, headDim, vocabSize, contextLength, maxChunk, device, hasGates, attention, counters },
    ...{ hasPatches, hasCuts },
    createCache: () => decoder.createCache(),
    forward: async (cache, tokens, options) => {
      await turn.pause();
      return decoder.forward(cache, tokens, options);
    },
    ...(forwardBatch && {
      forwardBatch: async (items, options) => {
        await turn.pause();
        return forwardBatch.call(decoder, items, options);
      },
    }),
    dispose: () => decoder.dispose(),
  };
}
