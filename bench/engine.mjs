/**
 * `npm run bench:engine [-- RUNS]`: the speed of the real engine in Chromium, on WebAssembly.
 *
 * Prints, as median (least to most) over the runs: time to first token and speeds of a 64-token prompt; the same prompt
 * again, for what the prefix cache saves, and the ratio of the two; the time from a selection of 32 and of 128 tokens to
 * its first heat map. Needs dist/ (`npm run build`).
 */
import { openBrowserEngine } from '../scripts/browser-engine/browser-engine.mjs';

const runs = Number(process.argv[2] ?? 3);
const words =
  'The quick brown fox jumps over the lazy dog while the old clock in the hall strikes twelve and all is still';

/** @param {number} count @param {number} salt */
function idsOf(count, salt) {
  return Array.from({ length: count }, (_, i) => 1000 + ((i * 7919 + salt * 104_729) % 40_000));
}

/** @param {number[]} values @param {number} [digits] */
function spread(values, digits = 0) {
  const sorted = [...values].sort((a, b) => a - b);
  const [least, median, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map((v) => v?.toFixed(digits));
  return `${median} (${least} to ${most})`;
}

/** @param {Record<string, number[]>} table @param {string} name @param {number} value */
function note(table, name, value) {
  table[name] ??= [];
  table[name].push(value);
}

const engine = await openBrowserEngine({ device: 'wasm' });
try {
  const loaded = await engine.load();
  console.log(`${loaded.modelName} on ${loaded.device}, loaded in ${Math.round(loaded.loadMs)} ms; ${runs} runs`);
  /** @type {Record<string, number[]>} */
  const figures = {};
  const sampling = {
    ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, frequencyPenalty: 0, presencePenalty: 0 },
    ...{ maxTokens: 12, stop: [] },
  };
  for (let run = 0; run < runs; run++) {
    const input = /** @type {const} */ ({ kind: 'ids', ids: idsOf(64, run) });
    const request = /** @type {const} */ ({
      input,
      sampling,
      priority: 'interactive',
      overflow: 'refuse',
      details: true,
    });
    const first = await engine.call('generate', request);
    const again = await engine.call('generate', request);
    note(figures, 'time to first token, 64 new tokens, ms', first.firstTokenMs);
    note(figures, 'time to first token, the same prompt again, ms', again.firstTokenMs);
    note(figures, 'ratio of the two', first.firstTokenMs / again.firstTokenMs);
    note(figures, 'prefill, tokens/s', (1000 * first.computedTokens) / first.prefillMs);
    note(figures, 'decode, tokens/s', (1000 * (first.generatedTokens - 1)) / first.decodeMs);
    for (const tokens of [32, 128]) {
      const startedAt = performance.now();
      const text = `${run} ${words} `.repeat(8);
      const { tokens: all } = await engine.call('encode', { input: { kind: 'text', text } });
      const ids = all.slice(0, tokens).map(({ id }) => id);
      const { inspectionId } = await engine.call('inspect', { input: { kind: 'ids', ids }, priority: 'interactive' });
      await engine.call('attentionMap', { inspectionId, layer: 0, head: 0 });
      note(figures, `selection to heat map, ${tokens} tokens, ms`, performance.now() - startedAt);
      await engine.call('closeInspection', { inspectionId });
    }
  }
  for (const [name, values] of Object.entries(figures))
    console.log(`${name}: ${spread(values, name.includes('tokens/s') || name.startsWith('ratio') ? 2 : 0)}`);
} finally {
  await engine.close();
}
