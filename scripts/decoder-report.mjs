/**
 * Compares the engine's numbers with a file of reference numbers (`test/fixtures/bundled/README.md` tells its format).
 *
 * @typedef {{ids: number[][], logprob: number[][]}} TopTokens  Per position, the most probable tokens of the reference.
 * @typedef {{text?: string, ids: number[], top16?: TopTokens, greedy?: number[]}} Run
 * @typedef {{ids: number[], top32?: TopTokens}} Piece
 * @typedef {{model?: string, runs?: Run[], eval?: Piece[], eval_nll_per_token?: number}} Reference
 * @typedef {Pick<Awaited<ReturnType<typeof import('./browser-engine/browser-engine.mjs').openBrowserEngine>>, 'call'>} Engine
 */

/**
 * @typedef {object} Bars
 * @property {number} kl  At most.
 * @property {number} logprob  The most that any listed token at any position may differ by.
 * @property {number} top1  At least.
 * @property {boolean} needsGreedy  Greedy continuations have to be identical.
 */

/** By arithmetic. @satisfies {Record<string, Bars>} */
export const bars = {
  float32: { kl: 0.001, logprob: 0.001, top1: 0.99, needsGreedy: true },
  int8: { kl: 0.004, logprob: Number.POSITIVE_INFINITY, top1: 0.96, needsGreedy: false },
};

/** What is compared, summed up position by position. */
export class Agreement {
  positions = 0;
  worstLogprob = 0;
  /** Log-probabilities of the tokens that follow. */
  #next = { sum: 0, count: 0 };
  #kl = 0;
  #drift = 0;
  #sameTop = 0;

  /**
   * @param {object} position
   * @param {readonly number[]} position.expected  Log-probabilities of the reference's top tokens, the first being its best.
   * @param {readonly number[]} position.actual    The engine's for the same tokens.
   * @param {boolean} position.isSameTop
   */
  add({ expected, actual, isSameTop }) {
    this.positions++;
    if (isSameTop) this.#sameTop++;
    // What is outside the listed tokens is one bucket of its own.
    let restExpected = 1;
    let restActual = 1;
    for (const [i, reference] of expected.entries()) {
      const own = actual[i] ?? Number.NEGATIVE_INFINITY;
      const p = Math.exp(reference);
      this.#kl += p * (reference - own);
      this.#drift += p * Math.abs(reference - own);
      this.worstLogprob = Math.max(this.worstLogprob, Math.abs(reference - own));
      restExpected -= p;
      restActual -= Math.exp(own);
    }
    const least = 1e-9; // the listed numbers are rounded
    const p = Math.max(restExpected, least);
    this.#kl += p * Math.log(p / Math.max(restActual, least));
  }

  /** @param {Float32Array} logprobs of the tokens that stand in the text */
  addNext(logprobs) {
    for (const one of logprobs) this.#next.sum += one;
    this.#next.count += logprobs.length;
  }

  /** Negative log-likelihood of the text, per token. */
  get nll() {
    return this.#next.count ? -this.#next.sum / this.#next.count : 0;
  }

  get kl() {
    return this.positions ? this.#kl / this.positions : 0;
  }

  /** Mean over positions of the difference of log-probabilities, each weighted by its probability. */
  get logprob() {
    return this.positions ? this.#drift / this.positions : 0;
  }

  get top1() {
    return this.positions ? this.#sameTop / this.positions : 1;
  }
}

/**
 * @param {Engine} engine
 * @param {readonly number[]} ids
 * @param {TopTokens} top
 * @param {readonly Agreement[]} agreements  All are told about every position.
 * @param {(done: number) => void} [onProgress]
 */
export async function compareTokens(engine, ids, top, agreements, onProgress) {
  const wanted = top.ids.slice(0, ids.length);
  const { topIds, wantedLogprobs, nextLogprobs } = await engine.call(
    'score',
    { ids: [...ids], priority: 'background', top: 1, wanted },
    { onProgress: ({ done }) => onProgress?.(done) },
  );
  for (const agreement of agreements) agreement.addNext(nextLogprobs);
  let at = 0;
  for (const [position, tokens] of wanted.entries()) {
    const actual = [...wantedLogprobs.subarray(at, at + tokens.length)];
    at += tokens.length;
    const expected = top.logprob[position] ?? [];
    for (const agreement of agreements) agreement.add({ expected, actual, isSameTop: topIds[position] === tokens[0] });
  }
}

/**
 * How far apart the engine sees two tokens that may follow `ids`, in log-probability.
 * @param {Engine} engine
 * @param {readonly number[]} ids
 * @param {number} a
 * @param {number} b
 */
export async function gapBetween(engine, ids, a, b) {
  const wanted = ids.map((_, i) => (i === ids.length - 1 ? [a, b] : []));
  const request = /** @type {const} */ ({ priority: 'background', top: 0 });
  const { wantedLogprobs } = await engine.call('score', { ...request, ids: [...ids], wanted });
  return Math.abs((wantedLogprobs[0] ?? 0) - (wantedLogprobs[1] ?? 0));
}

/**
 * The most probable continuation, as many tokens as asked for or up to the end of the answer.
 * @param {Engine} engine
 * @param {readonly number[]} ids
 * @param {number} maxTokens
 */
export async function continueGreedily(engine, ids, maxTokens) {
  /** @type {number[]} */
  const answer = [];
  await engine.call(
    'generate',
    {
      input: { kind: 'ids', ids: [...ids] },
      sampling: {
        temperature: 0,
        topK: 0,
        topP: 1,
        minP: 0,
        repetitionPenalty: 1,
        frequencyPenalty: 0,
        presencePenalty: 0,
        maxTokens,
        stop: [],
      },
      priority: 'background',
      overflow: 'refuse',
      details: false,
    },
    {
      onProgress: (progress) => {
        if (progress.kind === 'tokens') answer.push(...progress.steps.map(({ id }) => id));
      },
    },
  );
  return answer;
}
