/**
 * `npm run bench:threads [-- ROUNDS THREADS]`: the bundled model on Glasshead's own runtime in headless Chromium, on
 * one thread and on several, in turns. Prints medians in tokens/s with least and most, and their ratio; above them that
 * of loops that touch no memory and wait for nothing, which is what the machine has to give at that time.
 */
import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { buildBenchDist, openEngineSide } from './decode/engine-side.mjs';
import { readPrompts } from './decode/prompts.mjs';

const model = fileURLToPath(new URL('../media/models/SmolLM2-135M-Instruct', import.meta.url));
const [rounds = 5, threads = 2] = process.argv.slice(2).map(Number);
const steps = 32;

const show = (number = 0) => number.toPrecision(3);

/** @param {number[]} numbers */
function describe(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? 0;
  return { median, text: `${show(median)} (${show(sorted[0])}-${show(sorted.at(-1))})` };
}

const loop = `require('node:worker_threads').parentPort.on('message', () => {
  let x = 1;
  for (let i = 0; i < 1e8; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  require('node:worker_threads').parentPort.postMessage(x);
});`;
const loopers = Array.from({ length: threads }, () => new Worker(loop, { eval: true }));

/**
 * Loops a second of `count` workers together.
 * @param {number} count
 */
async function loopsPerSecond(count) {
  const begin = performance.now();
  await Promise.all(
    loopers.slice(0, count).map((worker) => {
      worker.postMessage('');
      return new Promise((resolve) => worker.once('message', resolve));
    }),
  );
  return (1000 * count) / (performance.now() - begin);
}

const dist = await buildBenchDist();
const promptOf = await readPrompts(path.join(model, 'tokenizer.json'));
/** @type {{side: import('./decode/engine-side.mjs').EngineSide, count: number, loops: number[], decode: number[], prefill: number[]}[]} */
const sides = [];
try {
  for (const count of [1, threads])
    sides.push({ side: await openEngineSide('simd', dist, count), count, loops: [], decode: [], prefill: [] });
  for (const { side } of sides) console.log(side.info.runtimeReason);
  for (let round = 0; round <= rounds; round++)
    for (const { side, count, loops, decode, prefill } of sides) {
      const short = await side.run(promptOf(64, round), steps);
      const long = await side.run(promptOf(256, round), 1);
      const perSecond = await loopsPerSecond(count);
      if (round === 0) continue; // compiles the kernels to their last tier
      loops.push(perSecond);
      decode.push((1000 * steps) / short.decodeMs);
      prefill.push((1000 * 256) / long.prefillMs);
    }
} finally {
  for (const worker of loopers) await worker.terminate();
  for (const { side } of sides) await side.close();
  await rm(dist, { recursive: true, force: true });
}
console.log(`Load average ${os.loadavg()[0]?.toFixed(1)} on ${os.cpus().length} cores; ${rounds} rounds.`);
for (const [name, key] of /** @type {const} */ ([
  ['plain loops, 10^8 steps/s', 'loops'],
  ['decode at 64 tokens, tokens/s', 'decode'],
  ['prefill of 256 tokens, tokens/s', 'prefill'],
])) {
  const [one, many] = sides.map((of) => describe(of[key]));
  const ratio = ((many?.median ?? 0) / (one?.median ?? 1)).toFixed(2);
  console.log(`${name}: one thread ${one?.text}, ${threads} threads ${many?.text}, ratio ${ratio}`);
}
