/**
 * `npm run bench:causal [-- RUNS] [--json]`: the ranking of all heads of the bundled model on a text of 32 tokens, on our
 * own kernels, in one thread of a headless Chromium.
 *
 * For heads ablated at all positions and at the last alone, in both arithmetics: milliseconds batched and one head at a
 * time, in turns, as medians over the runs; tokens that went through the model; the ratio of the two times.
 */
import { rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { buildBenchDist, openEngineSide } from './decode/engine-side.mjs';

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const runs = Number(positionals[0] ?? 3);
if (!(Number.isInteger(runs) && runs > 0)) throw new Error('The number of runs is a whole number from 1.');
const ids = Array.from({ length: 32 }, (_, i) => 1000 + ((i * 7919) % 40_000));

/** @param {number[]} times */
const median = (times) => /** @type {number} */ ([...times].sort((a, b) => a - b)[times.length >> 1]);

/**
 * @param {import('./decode/engine-side.mjs').EngineSide} engine
 * @param {'all' | 'last'} positions
 * @param {'int8' | 'float32'} arithmetic
 */
async function measure(engine, positions, arithmetic) {
  /** @type {[batched: number[], alone: number[]]} */
  const times = [[], []];
  let [tokens, heads] = [0, 0];
  for (let run = 0; run < runs; run++)
    for (const [side, isAlone] of [false, true].entries()) {
      const result = await engine.call('ranking', ids, { positions, arithmetic, isAlone });
      times[side]?.push(result.ms);
      [tokens, heads] = [result.forwardedTokens, result.heads];
    }
  const [batchedMs, aloneMs] = [median(times[0]), median(times[1])];
  return { positions, arithmetic, heads, tokens, batchedMs, aloneMs, ratio: aloneMs / batchedMs };
}

const dist = await buildBenchDist();
try {
  const engine = await openEngineSide('simd', dist);
  try {
    const rows = [];
    for (const positions of /** @type {const} */ (['last', 'all']))
      for (const arithmetic of /** @type {const} */ (['int8', 'float32']))
        rows.push(await measure(engine, positions, arithmetic));
    if (values.json) console.log(JSON.stringify({ ranking: rows }));
    else
      for (const { positions, arithmetic, heads, tokens, batchedMs, aloneMs, ratio } of rows)
        console.log(
          `${heads} heads, ${positions} position(s), ${arithmetic}: ${Math.round(batchedMs)} ms batched, ${Math.round(aloneMs)} ms one by one (${ratio.toFixed(2)} x), ${tokens} tokens`,
        );
  } finally {
    await engine.close();
  }
} finally {
  await rm(dist, { recursive: true, force: true });
}
