/** Log-probabilities of tokens that are already there, at every position, in one go through the model. */
import { AppError } from '../../../src/shared/app-error.ts';
import type { WorkerContract } from '../../../src/shared/engine-contract.ts';
import type { Params, Result } from '../../../src/shared/peer.ts';
import { type Distribution, describeLogits, topIds } from '../../../src/shared/sampling/distribution.ts';
import type { Decoder, ForwardResult } from '../decoder.ts';
import { prefill } from './prefill.ts';
import type { Turn } from './scheduler.ts';

type ScoreRequest = Params<WorkerContract, 'score'>;
type ScoreResult = Result<WorkerContract, 'score'>;

/** @throws AppError `context-overflow`, `cancelled`, `bad-input`. */
export async function scoreTokens(
  decoder: Decoder,
  { ids, top, wanted = [] }: ScoreRequest,
  { turn, onProgress }: { turn: Turn; onProgress: (done: number) => void },
): Promise<ScoreResult> {
  if (ids.length > decoder.contextLength)
    throw new AppError(
      'context-overflow',
      `${ids.length} tokens were given and the model reads at most ${decoder.contextLength}. Give fewer.`,
    );
  const outside = [...ids, ...wanted.flat()].find((id) => id >= decoder.vocabSize);
  if (outside !== undefined) throw new AppError('bad-input', `The model has no token with the number ${outside}.`);
  const width = Math.min(top, decoder.vocabSize);
  const result: ScoreResult = {
    topIds: new Int32Array(ids.length * width),
    topLogprobs: new Float32Array(ids.length * width),
    wantedLogprobs: new Float32Array(wanted.reduce((sum, list) => sum + list.length, 0)),
    nextLogprobs: new Float32Array(Math.max(0, ids.length - 1)),
  };
  let wantedAt = 0;
  const readRow = (row: Float32Array, { logTotal }: Distribution, position: number) => {
    const logprob = (id: number) => (row[id] as number) - logTotal;
    const best = topIds(row, width);
    result.topIds.set(best, position * width);
    result.topLogprobs.set(best.map(logprob), position * width);
    for (const id of wanted[position] ?? []) result.wantedLogprobs[wantedAt++] = logprob(id);
    const next = ids[position + 1];
    if (next !== undefined) result.nextLogprobs[position] = logprob(next);
  };
  const cache = decoder.createCache();
  try {
    const { vocabSize } = decoder;
    const onLogits = ({ logits, distributions }: ForwardResult, start: number) => {
      for (let row = 0; row * vocabSize < logits.length; row++) {
        const one = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
        readRow(one, distributions?.[row] ?? describeLogits(one), start + row);
      }
    };
    await prefill(decoder, cache, ids, { logits: 'all', turn, onProgress, onLogits });
    return result;
  } finally {
    cache.dispose();
  }
}
