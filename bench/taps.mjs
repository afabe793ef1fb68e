/**
 * `npm run bench:taps [-- --json] [--rounds N]`
 *
 * What taps, gates, patches and cuts cost while they are off: the shipped kernels against a build without them, with
 * the bundled model, each in a headless Chromium, in turns over several rounds. Where memory happens to lie makes a
 * browser some percent faster or slower, so both are opened anew for every fourth round, either first in turn. Prints
 * the ratio of the times (1.01: one percent more) for decoding at 64 tokens and for a prompt of 256, with its quartiles,
 * or with `--json` one line.
 */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compileWithoutInspection } from '../scripts/kernels.mjs';
import { buildBenchDist, openEngineSide } from './decode/engine-side.mjs';
import { readPrompts } from './decode/prompts.mjs';

const tokenizer = new URL('../media/models/SmolLM2-135M-Instruct/tokenizer.json', import.meta.url);
const steps = 24;
const roundsOfABrowser = 4;

/** @typedef {{decode64: number[], prefill256: number[]}} Ratios */

async function main() {
  const { values } = parseArgs({
    options: { json: { type: 'boolean', default: false }, rounds: { type: 'string', default: '24' } },
  });
  const rounds = Number(values.rounds);
  if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error('--rounds takes a whole number from 1.');
  const folders = [await buildBenchDist()];
  /** @type {Ratios} */
  const ratios = { decode64: [], prefill256: [] };
  try {
    folders.push(await withoutInspection(String(folders[0])));
    for (let round = 0; round < rounds; round += roundsOfABrowser) {
      process.stderr.write(`Round ${round + 1} of ${rounds}\n`);
      const isTurned = (round / roundsOfABrowser) % 2 === 1;
      await measure(isTurned ? folders.toReversed() : folders, isTurned, ratios);
    }
    const { decode64, prefill256 } = ratios;
    const summary = { decode64: quartiles(decode64), prefill256: quartiles(prefill256), rounds: decode64.length };
    console.log(values.json ? JSON.stringify(summary) : toTable(summary));
  } finally {
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  }
}

/** @param {string} dist */
async function withoutInspection(dist) {
  const copy = await mkdtemp(path.join(tmpdir(), 'glasshead-bench-'));
  await cp(dist, copy, { recursive: true });
  await writeFile(path.join(copy, 'webview/simd-relaxed.wasm'), await compileWithoutInspection());
  return copy;
}

/**
 * @param {readonly string[]} folders  Of the shipped build and of the one without, or the other way round.
 * @param {boolean} isTurned
 * @param {Ratios} ratios  Of the shipped one to the other; more are added.
 */
async function measure(folders, isTurned, { decode64, prefill256 }) {
  const prompts = await readPrompts(fileURLToPath(tokenizer));
  /** @type {import('./decode/engine-side.mjs').EngineSide[]} */
  const sides = [];
  try {
    for (const folder of folders) sides.push(await openEngineSide('simd', folder));
    for (const side of sides) await side.run(prompts(64, 9002), 8); // warm-up
    for (let round = 0; round < roundsOfABrowser; round++) {
      const times = [];
      for (const side of sides) {
        const { decodeMs } = await side.run(prompts(64, round), steps);
        const { prefillMs } = await side.run(prompts(256, round), 0);
        times.push({ decodeMs, prefillMs });
      }
      const [shipped, without] = isTurned ? times.toReversed() : times;
      if (!shipped || !without) throw new Error('A side was not measured.');
      decode64.push(shipped.decodeMs / without.decodeMs);
      prefill256.push(shipped.prefillMs / without.prefillMs);
    }
  } finally {
    for (const side of sides) await side.close();
  }
}

/** @param {number[]} values */
function quartiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => Number(sorted[Math.floor(share * (sorted.length - 1))]?.toFixed(4));
  return { median: at(0.5), from: at(0.25), to: at(0.75) };
}

/** @param {{decode64: ReturnType<typeof quartiles>, prefill256: ReturnType<typeof quartiles>, rounds: number}} ratios */
function toTable({ decode64, prefill256, rounds }) {
  const line = (/** @type {string} */ name, /** @type {typeof decode64} */ { median, from, to }) =>
    `${name}  ${median.toFixed(3)} (${from.toFixed(3)} to ${to.toFixed(3)})`;
  return [
    `Time with taps, gates, patches and cuts off, as a share of the time without their code; ${rounds} rounds, bar 1.010`,
    line('decode at 64  ', decode64),
    line('prefill of 256', prefill256),
  ].join('\n');
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
