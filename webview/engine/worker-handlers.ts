/** What the worker does for each method of its contract. Work on the model goes through the queue. */
import { AppError, toAppError } from '../../src/shared/app-error.ts';
import type { EngineStats, FileContract, Priority, WorkerContract } from '../../src/shared/engine-contract.ts';
import { type Caller, type HandlerContext, type Handlers, Transfer } from '../../src/shared/peer.ts';
import { createCausalHandlers } from './causal-handlers.ts';
import { generateAnswer } from './decode/answer.ts';
import type { Turn } from './decode/scheduler.ts';
import { scoreTokens } from './decode/score.ts';
import type { Decoder } from './decoder.ts';
import { createInspection } from './inspect/inspection.ts';
import { readThrough } from './read-file.ts';
import { type LoadSessionOptions, loadSession, type WorkerSession } from './worker-session.ts';

/** `page` is where the files of a model come from. */
export function createHandlers(
  page: Caller<FileContract>,
  load: typeof loadSession = loadSession,
): Handlers<WorkerContract> {
  let session: WorkerSession | undefined;
  let failure: AppError | undefined;

  const current = (): WorkerSession => {
    if (failure) throw failure;
    if (!session) throw new AppError('no-model', 'No model is loaded. Load one in the Model view.');
    return session;
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
    const loaded = current();
    const options = { priority, signal, ...(onQueued && { onQueued }) };
    return loaded.scheduler.run(options, (turn) => guarded(() => work(current(), turn)));
  };

  return {
    load: async (request, { signal, progress }) => {
      if (session) throw new AppError('bad-input', 'This worker has a model already. Start a fresh one.');
      const options: LoadSessionOptions = { signal, onProgress: progress, readFile: readThrough(page, signal) };
      session = await guarded(() => load(request, options));
      return session.info;
    },

    encode: ({ input }) => current().codec.encode(input),

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

    inspect: ({ input, continuation = [], priority }, context) =>
      queued(context, { priority }, async ({ decoder, codec, inspections }, turn) => {
        const startedAt = performance.now();
        const encoded = codec.encodeWith(input, continuation);
        const ids = encoded.tokens.map(({ id }) => id);
        const onProgress = (done: number, total: number) => context.progress({ done, total });
        const inspection = await createInspection(paced(decoder, turn), ids, { signal: turn.signal, onProgress });
        const inspectionId = inspections.add(inspection);
        const { layers, heads, kvHeads } = decoder;
        return { inspectionId, encoded, layers, heads, kvHeads, runMs: performance.now() - startedAt };
      }),

    attentionMap: ({ inspectionId, layer, head }) => {
      const inspection = current().inspections.get(inspectionId);
      const weights = inspection.map(layer, head);
      return new Transfer({ weights, tokens: inspection.tokens }, [weights.buffer]);
    },

    attentionThumbnails: async ({ inspectionId, layers, size }, { signal }) => {
      const pixels = await current().inspections.get(inspectionId).thumbnails(layers, size, signal);
      return new Transfer({ pixels, size }, [pixels.buffer]);
    },

    ...createCausalHandlers((context, { priority }, work) =>
      queued(context, { priority }, (parts, turn) => work(parts, paced(parts.decoder, turn), turn.signal)),
    ),

    closeInspection: ({ inspectionId }) => current().inspections.close(inspectionId),

    stats: (): EngineStats => {
      const { decoder, caches } = current();
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
