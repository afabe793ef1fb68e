/**
 * `node bench/threads.mjs [ROUNDS] [THREADS]`: the bundled model on one thread and on several of Glasshead's own
 * runtime, in a cross-origin isolated Chromium, in turns. Needs a built dist/. Prints medians with least and most, and
 * their ratio.
 */
import os from 'node:os';
import { openBrowserEngine } from '../scripts/browser-engine/browser-engine.mjs';

const [rounds = 3, threads = 2] = process.argv.slice(2).map(Number);
const sampling = {
  ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 },
  ...{ maxTokens: 1, seed: 1, stop: [] },
};

/** @param {number[]} numbers */
const spread = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  const [median = 0, least = 0, most = 0] = [sorted[sorted.length >> 1], sorted[0], sorted.at(-1)];
  return { median, text: `${median.toFixed(1)} (${least.toFixed(1)}-${most.toFixed(1)})` };
};

const engine = await openBrowserEngine({ device: 'wasm', isIsolated: true });
/** @type {Map<number, {decode: number[], prefill: number[]}>} */
const speeds = new Map([1, threads].map((count) => [count, { decode: [], prefill: [] }]));
try {
  for (let round = 0; round < rounds; round++)
    for (const [count, { decode, prefill }] of speeds) {
      const model = await engine.load({ threads: count });
      if (round === 0) console.log(model.runtimeReason);
      decode.push(await measure('one two three four five six seven eight '.repeat(4), 64, round));
      prefill.push(await measure('zero one two three four five six seven '.repeat(32), 1, round));
    }
} finally {
  await engine.close();
}

console.log(`Load average ${os.loadavg()[0]?.toFixed(1)}, ${os.cpus().length} cores; tokens/s, ${rounds} rounds.`);
for (const name of /** @type {const} */ (['decode', 'prefill'])) {
  const [one, many] = [...speeds.values()].map((of) => spread(of[name]));
  const ratio = ((many?.median ?? 0) / (one?.median ?? 1)).toFixed(2);
  console.log(`${name}: one thread ${one?.text}, ${threads} threads ${many?.text}, ratio ${ratio}`);
}
