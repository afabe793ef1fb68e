/**
 * `npm run verify:decoder -- FILE.json [--runtime simd|ort|webgpu|auto] [--exact] [--model ID_OR_FOLDER]`
 *
 * Holds the real engine, in a real browser, to a file of reference numbers. Prints what it does, and as its last line
 * `KL … top1 … greedy N/M`. Exits with 0 when that is within the bars, with 1 when it is not, with 2 when it could not be
 * found out. Without `--exact`, `simd` rounds activations to int8, and the bars are those of that arithmetic; `wasm` is
 * what the extension takes on WebAssembly.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { openBrowserEngine } from './browser-engine/browser-engine.mjs';
import { Agreement, bars, compareTokens, continueGreedily, gapBetween } from './decoder-report.mjs';

/** @type {Record<string, import('./browser-engine/browser-engine.mjs').BrowserEngineOptions>} */
const runtimes = {
  wasm: { device: 'wasm' },
  simd: { device: 'wasm', runtime: 'simd' },
  ort: { device: 'wasm', runtime: 'ort' },
  webgpu: { device: 'webgpu', allowSoftwareAdapter: true },
  auto: { device: 'auto', allowSoftwareAdapter: true },
};

async function main() {
  const { file, runtime, isExact, model } = readArguments();
  /** @type {import('./decoder-report.mjs').Reference} */
  const reference = JSON.parse(await readFile(file, 'utf8'));
  const { runs = [], eval: pieces = [], eval_nll_per_token: nll } = reference;
  console.log(`Reference: ${reference.model ?? file}; ${runs.length} runs, ${pieces.length} pieces of text.`);
  const arithmetic = isExact ? 'float32' : 'int8';
  const engine = await openBrowserEngine({ ...runtime, arithmetic, ...(model && { model }) });
  try {
    const loaded = await engine.load();
    console.log(`${loaded.modelName} on ${loaded.device}. ${loaded.deviceReason} ${loaded.runtimeReason}`);
    const isRounded = loaded.runtime === 'simd' && !isExact;
    return await verify(engine, { runs, pieces, nll, bars: isRounded ? bars.int8 : bars.float32 });
  } finally {
    await engine.close();
  }
}

/**
 * @param {import('./decoder-report.mjs').Engine} engine
 * @param {object} what
 * @param {readonly import('./decoder-report.mjs').Run[]} what.runs
 * @param {readonly import('./decoder-report.mjs').Piece[]} what.pieces
 * @param {number | undefined} what.nll  Of the pieces, per token.
 * @param {import('./decoder-report.mjs').Bars} what.bars
 */
async function verify(engine, { runs, pieces, nll, bars: { kl, logprob, top1, needsGreedy } }) {
  const ofRuns = new Agreement();
  const ofPieces = new Agreement();
  let same = 0;
  let compared = 0;
  for (const [index, { ids, greedy, top16 }] of runs.entries()) {
    const what = `run ${index + 1} of ${runs.length}, ${ids.length} tokens`;
    if (top16) await compareTokens(engine, ids, top16, [ofRuns], showProgress(what, ids.length));
    if (!greedy) continue;
    const answer = await continueGreedily(engine, ids, greedy.length);
    const differsAt = greedy.findIndex((id, i) => answer[i] !== id);
    compared++;
    if (differsAt < 0) {
      same++;
      console.log(`${what}: greedy identical`);
      continue;
    }
    const [expected = 0, own = 0] = [greedy[differsAt], answer[differsAt]];
    const gap = await gapBetween(engine, [...ids, ...greedy.slice(0, differsAt)], expected, own);
    console.log(`${what}: greedy differs at token ${differsAt + 1}, by ${gap.toFixed(4)} in log-probability`);
  }
  for (const [index, { ids, top32 }] of pieces.entries()) {
    const what = `piece ${index + 1} of ${pieces.length}, ${ids.length} tokens`;
    if (!top32) continue;
    const own = new Agreement();
    await compareTokens(engine, ids, top32, [own, ofPieces], showProgress(what, ids.length));
    console.log(`${what}: KL ${own.kl.toFixed(6)}, top token ${own.top1.toFixed(4)}`);
  }
  const main = ofPieces.positions > 0 ? ofPieces : ofRuns;
  for (const [name, agreement] of Object.entries({ runs: ofRuns, eval: ofPieces }))
    if (agreement.positions > 0)
      console.log(
        `log-probabilities on ${name}: differ by ${agreement.logprob.toFixed(6)} on average, ${agreement.worstLogprob.toFixed(6)} at most`,
      );
  const more = nll === undefined ? 0 : Math.exp(ofPieces.nll - nll) - 1;
  if (nll !== undefined)
    console.log(
      `perplexity on eval: ${Math.exp(ofPieces.nll).toFixed(3)}, ${(100 * more).toFixed(2)} % off the reference's ${Math.exp(nll).toFixed(3)}`,
    );
  console.log(`KL ${main.kl.toFixed(6)} top1 ${main.top1.toFixed(4)} greedy ${same}/${compared}`);
  const isClose = [ofRuns, ofPieces].every((one) => one.kl <= kl && one.worstLogprob <= logprob && one.top1 >= top1);
  return isClose && Math.abs(more) <= 0.01 && (same === compared || !needsGreedy);
}

/**
 * @param {string} what
 * @param {number} total
 */
function showProgress(what, total) {
  if (!process.stderr.isTTY) return undefined;
  return (/** @type {number} */ done) =>
    process.stderr.write(`\r${what}: ${done}/${total}${done < total ? '' : '\r\x1b[K'}`);
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runtime: { type: 'string', default: 'wasm' },
      exact: { type: 'boolean', default: false },
      model: { type: 'string' },
    },
  });
  const [file] = positionals;
  const runtime = runtimes[values.runtime];
  if (!file || positionals.length > 1)
    throw new Error('Name one file: npm run verify:decoder -- test/fixtures/bundled/smollm2.json');
  if (!runtime)
    throw new Error(`There is no runtime "${values.runtime}". Choose one of ${Object.keys(runtimes).join(', ')}.`);
  return { file, runtime, isExact: values.exact, model: values.model };
}

main().then(
  (isRight) => process.exit(isRight ? 0 : 1),
  (error) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  },
);
