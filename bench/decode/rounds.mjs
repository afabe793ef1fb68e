/** Runs all sides in turns and collects what they took. */
import { lengths } from './report.mjs';

/**
 * @typedef {import('./report.mjs').Samples} Samples
 * @typedef {import('./sides.mjs').Sides} Sides
 * @typedef {import('./sides.mjs').Side} Side
 * @typedef {object} Rounds
 * @property {(count: number, salt: number) => import('./prompts.mjs').Prompt} prompts
 * @property {number} rounds
 * @property {number} steps  Tokens decoded after each prompt.
 * @property {boolean} isQuick  Peers are spared the longest prompt, which takes them minutes.
 * @property {(line: string) => void} say
 */

/**
 * @param {Sides} sides
 * @param {Rounds} options
 * @returns {Promise<Samples>}
 */
export async function measureRounds(sides, options) {
  const { prompts, rounds, steps, isQuick, say } = options;
  /** @type {Samples} */
  const samples = { speeds: {}, ratios: {}, facts: {} };
  const ours = sides.sides.find(({ engine }) => engine);
  /** @param {(engine: import('./engine-side.mjs').EngineSide) => Promise<void>} work */
  const withOurs = async (work) => {
    const { engine } = ours ?? {};
    if (ours && engine && sides.sides.includes(ours)) await attempt(sides, ours, () => work(engine));
  };
  await withOurs((engine) => measureMemory(engine, prompts(1024, 9001).ids, samples));
  for (const side of [...sides.sides]) await attempt(sides, side, () => side.run(prompts(64, 9002), 8)); // warm-up
  await withOurs(async (engine) => void (await engine.call('sampler', prompts(64, 9005).ids, 256, true)));
  let salt = 0;
  for (let round = 0; round < rounds; round++) {
    for (const length of lengths) {
      const order = sides.sides.map((_, i) => /** @type {Side} */ (sides.sides[(i + round) % sides.sides.length]));
      for (const side of order) {
        // No bar needs more than one run of a peer with the longest prompt.
        if (!side.engine && length === 1024 && (isQuick || round > 0)) continue;
        say(`Round ${round + 1} of ${rounds}: ${side.name}, ${length} tokens`);
        salt++;
        await attempt(sides, side, async () => {
          const wanted = length === 256 ? 0 : steps;
          const { prefillMs, decodeMs } = await side.run(prompts(length, salt), wanted);
          note(samples, `prefill${length}`, side.name, (1000 * length) / prefillMs);
          if (wanted > 0) note(samples, `decode${length}`, side.name, (1000 * wanted) / decodeMs);
        });
      }
    }
    await measureBounds(sides, samples);
    await withOurs((engine) => measureRatios(engine, options, samples));
  }
  return samples;
}

/**
 * @param {import('./engine-side.mjs').EngineSide} ours
 * @param {number[]} ids
 * @param {Samples} samples
 */
async function measureMemory(ours, ids, { ratios, facts }) {
  const { wasmBytes, cacheBytes } = await ours.call('memory', ids);
  const { bufferBytes, objectBytes } = await ours.heap();
  const { weightsBytes, loadMs } = ours.info;
  const read = await ours.call('weightBytesRead');
  Object.assign(facts, { weightsBytes, cacheBytes, wasmBytes, bufferBytes, objectBytes, loadMs });
  facts.readBytes = read ?? weightsBytes;
  if (read === null) facts.isReadAssumed = 1;
  if (wasmBytes !== null) ratios.memory = [(wasmBytes + bufferBytes) / (weightsBytes + cacheBytes)];
}

/**
 * @param {Sides} sides
 * @param {Samples} samples
 */
async function measureBounds({ bandwidth }, samples) {
  const { readBytes, cacheBytes } = samples.facts;
  if (!readBytes || !cacheBytes) return;
  for (const length of /** @type {const} */ ([64, 1024])) {
    const sizeBytes = readBytes + (cacheBytes * length) / 1024;
    note(samples, `decode${length}`, 'bound', (await bandwidth.measure(sizeBytes, 9)) / sizeBytes);
  }
}

/**
 * @param {import('./engine-side.mjs').EngineSide} ours
 * @param {Rounds} options
 * @param {Samples} samples
 */
async function measureRatios(ours, { prompts, steps, say }, { speeds, ratios }) {
  say('batch, prefix, sampler');
  /** @param {string} name @param {number} value */
  const add = (name, value) => {
    ratios[name] = [...(ratios[name] ?? []), value];
  };
  const batch = await ours.call('batch', prompts(64, 9003).ids, 4, steps);
  if (batch) add('batch4', batch.togetherMs / batch.oneMs);
  const prefix = await ours.call('prefix', prompts(1000, 9004).ids, 4, Math.min(steps, 12));
  if (prefix.reused !== 1000) throw new Error(`The prefix cache reused ${prefix.reused} tokens of 1000.`);
  add('prefix1000plus4', prefix.prefixMs / prefix.stepMs);
  const speed = (speeds.decode64?.[ours.info.runtime] ?? []).at(-1);
  for (const [name, details] of /** @type {const} */ ([
    ['sampler', false],
    ['samplerDetailed', true],
  ])) {
    const { tokenMs } = await ours.call('sampler', prompts(64, 9005).ids, 128, details);
    if (speed) add(name, (tokenMs * speed) / 1000);
  }
}

/**
 * @param {Sides} sides
 * @param {Side} side
 * @param {() => Promise<unknown>} work
 */
async function attempt(sides, side, work) {
  try {
    await work();
  } catch (thrown) {
    await sides.drop(side, thrown);
  }
}

/** @param {Samples} samples @param {string} figure @param {string} side @param {number} value */
function note({ speeds }, figure, side, value) {
  const row = speeds[figure] ?? {};
  speeds[figure] = { ...row, [side]: [...(row[side] ?? []), value] };
}
