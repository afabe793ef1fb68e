/** Causal tests as the worker's contract has them: text in, records out, at the caller's place in the queue. */
import type { PromptInput, WorkerContract } from '../../src/shared/engine-contract.ts';
import type { HandlerContext, Handlers } from '../../src/shared/peer.ts';
import type { Decoder } from './decoder.ts';
import { type CausalOptions, runCausalTest } from './inspect/causal/causal-test.ts';
import { rankHeads } from './inspect/causal/head-ranking.ts';
import type { WorkerSession } from './worker-session.ts';

type Request =
  | Parameters<Handlers<WorkerContract>['causalTest']>[0]
  | Parameters<Handlers<WorkerContract>['rankHeads']>[0];
type Progress = { done: number; total: number };

/** Runs `work` when it is its turn, with a decoder that lets others overtake between its runs. */
export type RunQueued = <T>(
  context: Pick<HandlerContext<never>, 'signal'>,
  request: Pick<Request, 'priority'>,
  work: (session: WorkerSession, decoder: Decoder, signal: AbortSignal) => Promise<T>,
) => Promise<T>;

export function createCausalHandlers(queued: RunQueued): Pick<Handlers<WorkerContract>, 'causalTest' | 'rankHeads'> {
  return {
    causalTest: (request, context) =>
      queued(context, request, (session, decoder, signal) =>
        runCausalTest(decoder, tokensOf(session, request), request.operation, {
          ...optionsOf(session, request, context.progress),
          signal,
        }),
      ),
    rankHeads: (request, context) =>
      queued(context, request, (session, decoder, signal) =>
        rankHeads(decoder, tokensOf(session, request), request.operation, {
          ...optionsOf(session, request, context.progress),
          ...(request.heads && { heads: request.heads }),
          signal,
        }),
      ),
  };
}

function tokensOf(
  { codec }: WorkerSession,
  { input, continuation = [] }: { input: PromptInput; continuation?: number[] | undefined },
) {
  return codec.encodeWith(input, continuation).tokens.map(({ id }) => id);
}

function optionsOf(
  { info }: WorkerSession,
  { measure, control, at, arithmetic }: Request,
  progress: (progress: Progress) => void,
): CausalOptions {
  return {
    ...{ measure, control, modelId: info.modelId, runtime: info.runtime },
    ...(at !== undefined && { at }),
    ...(arithmetic && { arithmetic }),
    onProgress: (done, total) => progress({ done, total }),
  };
}
