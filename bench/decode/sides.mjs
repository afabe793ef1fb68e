/** Everything that a run of the benchmark compares, opened and warm. What cannot be had is left out with a note. */
import { rm } from 'node:fs/promises';
import { openBandwidthSide } from './bandwidth-side.mjs';
import { buildBenchDist, openEngineSide } from './engine-side.mjs';
import { openTransformersSide } from './transformers-side.mjs';
import { openWllamaSide } from './wllama-side.mjs';

/**
 * @typedef {import('./prompts.mjs').Prompt} Prompt
 * @typedef {import('./report.mjs').SideName} SideName
 * @typedef {{prefillMs: number, decodeMs: number}} RunTimes
 * @typedef {object} Side
 * @property {SideName} name
 * @property {(prompt: Prompt, steps: number) => Promise<RunTimes>} run  Prefill from nothing, then `steps` greedy steps.
 * @property {() => Promise<void>} close
 * @property {import('./engine-side.mjs').EngineSide} [engine]  Where it is ours.
 * @typedef {Awaited<ReturnType<typeof openSides>>} Sides
 */

/**
 * @param {readonly SideName[]} names
 * @param {(line: string) => void} say
 */
export async function openSides(names, say) {
  const dist = names.some((name) => name === 'simd' || name === 'ort') ? await buildBenchDist() : '';
  const bandwidth = await openBandwidthSide();
  /** @type {Side[]} */
  const sides = [];
  /** @type {string[]} */
  const notes = [];
  for (const name of names) {
    say(`Opening ${name}`);
    try {
      sides.push({ name, ...(await openSide(name, dist)) });
    } catch (thrown) {
      notes.push(`${name} is left out: ${messageOf(thrown)}`);
      say(String(notes.at(-1)));
    }
  }
  return {
    bandwidth,
    sides,
    notes,
    /** @param {Side} side @param {unknown} thrown */
    drop: async (side, thrown) => {
      sides.splice(sides.indexOf(side), 1);
      notes.push(`${side.name} failed on the way: ${messageOf(thrown)}`);
      say(String(notes.at(-1)));
      await side.close();
    },
    close: async () => {
      for (const { close } of [bandwidth, ...sides]) await close();
      if (dist) await rm(dist, { recursive: true, force: true });
    },
  };
}

/**
 * @param {SideName} name
 * @param {string} dist
 * @returns {Promise<Omit<Side, 'name'>>}
 */
async function openSide(name, dist) {
  switch (name) {
    case 'transformersjs':
      return openTransformersSide();
    case 'wllama':
      return openWllamaSide();
    default: {
      const engine = await openEngineSide(name, dist);
      return { engine, run: engine.run, close: engine.close };
    }
  }
}

/** @param {unknown} thrown */
function messageOf(thrown) {
  const [line = ''] = (thrown instanceof Error ? thrown.message : String(thrown)).split('\n');
  return line.replace(/^page\.evaluate: |^worker\.evaluate: /, '');
}
