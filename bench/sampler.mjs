/**
 * `node bench/sampler.mjs [RUNS] [--json]`: what a token costs beside the model, in Node.
 *
 * Prints, as median (least to most) in ms a token over the runs: the sampler with a vocabulary of 49,152, greedy, with
 * the defaults and with all filters on, with and without details, on logits as sure as a model's and on flat ones; then
 * the whole decode loop over a decoder that answers at once. `--json` prints one line of JSON instead.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const isJson = process.argv.includes('--json');
const runs = Number(process.argv.slice(2).find((word) => !word.startsWith('--')) ?? 15);
const tokens = 40;
const vocabSize = 49_152;

const { outputFiles } = await build({
  stdin: {
    contents: `
      export { Sampler } from './src/shared/sampling/sampler.ts';
      export { TokenHistory } from './src/shared/sampling/token-history.ts';
      export { createRandom } from './src/shared/sampling/random.ts';
      export { defaultSampling, greedySampling } from './src/shared/sampling-settings.ts';
      export { generateAnswer } from './webview/engine/decode/answer.ts';
      export { PrefixCache } from './webview/engine/decode/prefix-cache.ts';
      export { TextCodec } from './webview/engine/text/text-codec.ts';`,
    resolveDir: root,
    loader: 'ts',
  },
  ...{ bundle: true, write: false, format: 'esm', platform: 'browser', target: 'es2022' },
  alias: { '@huggingface/transformers': `${root}node_modules/@huggingface/transformers/dist/transformers.web.js` },
  logLevel: 'error',
});
const code = outputFiles[0]?.text ?? '';
/** @type {any} */
const engine = await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`);
const { Sampler, TokenHistory, createRandom, defaultSampling, greedySampling } = engine;

const random = createRandom(1).next;
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** @param {number} width @param {number} peaks */
function makeRow(width, peaks) {
  const row = Float32Array.from({ length: vocabSize }, () => normal() * width);
  for (let i = 0; i < peaks; i++) row[Math.floor(random() * vocabSize)] = 10 + 3 * normal();
  return row;
}

const rows = {
  sure: Array.from({ length: 8 }, () => makeRow(2.5, 12)),
  flat: Array.from({ length: 8 }, () => makeRow(0.5, 0)),
};
const all = {
  ...defaultSampling,
  ...{ temperature: 0.8, topK: 100, topP: 0.95, minP: 0.02 },
  ...{ repetitionPenalty: 1.1, frequencyPenalty: 0.2, presencePenalty: 0.1 },
  logitBias: { 11: -100, 500: 2, 7000: -3 },
};
const settings = {
  greedy: greedySampling,
  defaults: defaultSampling,
  'all filters': all,
  'no top-k': { ...all, topK: 0 },
};
const prompt = Array.from({ length: 512 }, () => Math.floor(random() * vocabSize));

const folder = new URL('../media/models/SmolLM2-135M-Instruct/', import.meta.url);
const readJson = async (/** @type {string} */ name) => JSON.parse(await readFile(new URL(name, folder), 'utf8'));
const codec = new engine.TextCodec({
  tokenizer: await readJson('tokenizer.json'),
  tokenizerConfig: await readJson('tokenizer_config.json'),
});

/** @type {Record<string, number[]>} */
const figures = {};
for (let run = -3; run < runs; run++) {
  for (const [kind, logits] of Object.entries(rows))
    for (const [name, sampling] of Object.entries(settings))
      for (const details of [false, true]) {
        const sampler = new Sampler(sampling, 1, vocabSize);
        const history = new TokenHistory(prompt);
        const startedAt = performance.now();
        for (let i = 0; i < tokens; i++) history.add(sampler.draw(logits[i % logits.length], { history, details }).id);
        note(`${name}, ${kind}${details ? ', details' : ''}`, run, startedAt);
      }
  for (const details of [false, true]) await timeAnswer(run, details);
}

/** @param {string} name @param {number} run @param {number} startedAt */
function note(name, run, startedAt) {
  figures[name] ??= [];
  if (run >= 0) figures[name].push((performance.now() - startedAt) / tokens);
}

/** @param {number} run @param {boolean} details */
async function timeAnswer(run, details) {
  let at = 0;
  const decoder = {
    ...{ vocabSize, contextLength: 4096, maxChunk: 4096 },
    createCache: () => {
      const cache = {
        length: 0,
        sizeBytes: 0,
        crop(/** @type {number} */ length) {
          cache.length = length;
        },
        dispose() {},
      };
      return cache;
    },
    forward: async (/** @type {{length: number}} */ cache, /** @type {number[]} */ ids) => {
      cache.length += ids.length;
      return { logits: rows.sure[at++ % rows.sure.length], taps: [] };
    },
  };
  const parts = { decoder, codec, caches: new engine.PrefixCache(decoder, 1e9), endIds: new Set() };
  const request = {
    ...{ input: { kind: 'ids', ids: prompt }, priority: 'interactive', overflow: 'refuse', details },
    sampling: { ...all, maxTokens: tokens, stop: ['\n\n\n', '```'] },
  };
  const turn = { signal: new AbortController().signal, pause: async () => {} };
  const result = await engine.generateAnswer(parts, request, {
    ...{ turn, onProgress: () => {}, freshSeed: () => 1, queuedMs: 0 },
  });
  note(`decode loop, all filters${details ? ', details' : ''}`, run, performance.now() - result.decodeMs);
}

const spread = Object.entries(figures).map(([name, values]) => {
  const sorted = [...values].sort((a, b) => a - b);
  return /** @type {const} */ ([name, [sorted[sorted.length >> 1] ?? 0, sorted[0] ?? 0, sorted.at(-1) ?? 0]]);
});
if (isJson) console.log(JSON.stringify(Object.fromEntries(spread)));
else
  for (const [name, values] of spread) {
    const [median, least, most] = values.map((value) => value.toFixed(3));
    console.log(`${name}: ${median} (${least} to ${most}) ms a token`);
  }
