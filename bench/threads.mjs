/**
 * `npm run bench:threads [-- ROUNDS THREADS]`: the bundled model on Glasshead's own runtime in headless Chromium, on
 * one thread and on several, in turns. Prints medians in tokens/s with least and most, and their ratio.
 */
import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildBenchDist, openEngineSide } from './decode/engine-side.mjs';
import { readPrompts } from './decode/prompts.mjs';

const model = fileURLToPath(new URL('../media/models/SmolLM2-135M-Instruct', import.meta.url));
const [rounds = 5, threads = 2] = process.argv.slice(2).map(Number);
const steps = 32;

/** @param {number[]} numbers */
function describe(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? 0;
  return { median, text: `${median.toFixed(0)} (${sorted[0]?.toFixed(0)}-${sorted.at(-1)?.toFixed(0)})` };
}

const dist = await buildBenchDist();
const promptOf = await readPrompts(path.join(model, 'tokenizer.json'));
/** @type {{side: import('./decode/engine-side.mjs').EngineSide, decode: number[], prefill: number[]}[]} */
const sides = [];
try {
  for (const count of [1, threads])
    sides.push({ side: await openEngineSide('simd', dist, count), decode: [], prefill: [] });
  for (const { side } of sides) console.log(side.info.runtimeReason);
  for (let round = 0; round <= rounds; round++)
    for (const { side, decode, prefill } of sides) {
      const short = await side.run(promptOf(64, round), steps);
      const long = await side.run(promptOf(256, round), 1);
      if (round === 0) continue; // compiles the kernels to their last tier
      decode.push((1000 * steps) / short.decodeMs);
      prefill.push((1000 * 256) / long.prefillMs);
    }
} finally {
  for (const { side } of sides) await side.close();
  await rm(dist, { recursive: true, force: true });
}
console.log(`Load average ${os.loadavg()[0]?.toFixed(1)} on ${os.cpus().length} cores; tokens/s, ${rounds} rounds.`);
for (const [name, key] of /** @type {const} */ ([
  ['decode at 64 tokens', 'decode'],
  ['prefill of 256 tokens', 'prefill'],
])) {
  const [one, many] = sides.map((of) => describe(of[key]));
  const ratio = ((many?.median ?? 0) / (one?.median ?? 1)).toFixed(2);
  console.log(`${name}: one thread ${one?.text}, ${threads} threads ${many?.text}, ratio ${ratio}`);
}
