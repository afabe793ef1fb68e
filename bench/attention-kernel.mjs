/**
 * `node bench/attention-kernel.mjs [RUNS] [--node]`: all the attention of a run with the shape of SmolLM2-135M (30 layers,
 * 9 heads, 3 kv heads of 64), in Chromium or in this Node.
 *
 * Prints for both builds and both sizes of a cached number the least and the median milliseconds over the runs: one token
 * after 64 and after 1,024, 4 rows of one sequence, 4 sequences of one row, and a prefill of 1,024 tokens in chunks of 32.
 */
import { setFlagsFromString } from 'node:v8';
import { compileKernels } from '../scripts/kernels.mjs';
import { openPeerPage } from './decode/peer-page.mjs';

const runs = Number(process.argv.slice(2).find((word) => !word.startsWith('--')) ?? 15);

/**
 * Runs in the page: nothing from outside is used.
 *
 * @param {{builds: Record<string, number[]>, runs: number}} input
 * @returns {Promise<{name: string, times: number[]}[]>}
 */
async function measure(input) {
  const { layers, heads, kvHeads, headDim } = { layers: 30, heads: 9, kvHeads: 3, headDim: 64 };
  const [sequences, pages, mostRows] = [4, 33, 32];
  /** @type {{name: string, run: () => void, times: number[], turns: number}[]} */
  const cases = [];
  for (const [build, bytes] of Object.entries(input.builds))
    for (const numberBytes of [4, 2]) {
      const memory = new WebAssembly.Memory({ initial: 4096 });
      const { instance } = await WebAssembly.instantiate(Uint8Array.from(bytes), { env: { memory } });
      const attention = /** @type {(words: number, rows: number, state: number) => void} */ (
        instance.exports.attention
      );
      let next = 65_536;
      const allocate = (/** @type {number} */ size) => {
        const at = next;
        next += Math.ceil(size / 64 + 1) * 64;
        return at;
      };
      const words32 = new Uint32Array(memory.buffer);
      const words = (/** @type {number[]} */ list) => {
        const at = allocate(list.length * 4);
        new Int32Array(memory.buffer, at).set(list);
        return at;
      };
      const width = (heads + 2 * kvHeads) * headDim;
      const rows = allocate(mostRows * width * 4);
      new Float32Array(memory.buffer, rows, mostRows * width).forEach((_, i, all) => {
        all[i] = Math.sin(i * i);
      });
      const [key, value] = [rows + heads * headDim * 4, rows + (heads + kvHeads) * headDim * 4];
      const to = allocate(mostRows * width * 4);
      const steps = Array.from({ length: layers }, (_, layer) => {
        const places = [rows, width, key, width, value, width, to, heads * headDim, 0, 0, 0];
        const step = words([5, 21, layer, heads, kvHeads, headDim, 0, 0, 0, 0, ...places]);
        new Float32Array(memory.buffer, step, 7)[6] = 0.125;
        return step;
      });
      const pageBytes = layers * kvHeads * 32 * 2 * headDim * numberBytes;
      const tables = Array.from({ length: sequences }, () =>
        words(Array.from({ length: pages }, () => allocate(pageBytes))),
      );
      const segments = words(Array.from({ length: 4 * sequences }, () => 0));
      const scratch = allocate((160 * headDim + 2304) * 4);
      const state = words([0, 1, segments, 0, 0, 0, 0, 0, 0, 0, 0, 0, scratch, numberBytes]);
      /** @param {number} past @param {number} count @param {(number | undefined)[]} used */
      const run = (past, count, used) => {
        const list = used.flatMap((table, i) => [i * count, count, past, table ?? 0]);
        new Int32Array(memory.buffer, segments, list.length).set(list);
        new Int32Array(memory.buffer, state, 2)[1] = used.length;
        for (const step of steps) attention(step, count * used.length, state);
      };
      const prefill = (/** @type {number | undefined} */ table) => {
        for (let past = 0; past < 1024; past += mostRows) run(past, mostRows, [table]);
      };
      prefill(tables[0]); // compiles; the other sequences hold the same
      const floats = new Float32Array(memory.buffer);
      for (const table of tables.slice(1))
        for (let page = 0; page < pages; page++) {
          const [to = 0, from = 0] = [table, tables[0] ?? 0].map((at) => (words32[at / 4 + page] ?? 0) / 4);
          floats.copyWithin(to, from, from + pageBytes / 4);
        }
      const name = `${build.padEnd(7)} float${8 * numberBytes}`;
      const add = (/** @type {string} */ what, /** @type {() => void} */ work, turns = input.runs) =>
        cases.push({ name: `${name} ${what}`, run: work, times: [], turns });
      add('1 at 64', () => run(64, 1, [tables[0]]));
      add('1 at 1,024', () => run(1024, 1, [tables[0]]));
      add('4 rows at 1,024', () => run(1024, 4, [tables[0]]));
      add('4 sequences at 64', () => run(64, 1, tables));
      add('4 sequences at 1,024', () => run(1024, 1, tables));
      add('prefill of 1,024', () => prefill(tables[0]), 2);
    }
  for (let turn = 0; turn <= input.runs; turn++)
    for (const { run, times, turns } of cases) {
      if (turn > turns) continue;
      const startedAt = performance.now();
      run();
      if (turn > 0) times.push(performance.now() - startedAt);
    }
  return cases.map(({ name, times }) => ({ name, times: times.sort((a, b) => a - b) }));
}

const { relaxed, plain } = await compileKernels();
const input = { builds: { relaxed: [...relaxed], plain: [...plain] }, runs };
/** @type {Awaited<ReturnType<typeof measure>>} */
let rows;
if (process.argv.includes('--node')) {
  setFlagsFromString('--experimental-wasm-relaxed-simd');
  setFlagsFromString('--no-liftoff');
  rows = await measure(input);
} else {
  const { page, close } = await openPeerPage({});
  rows = await page.evaluate(measure, input);
  await close();
}
for (const { name, times } of rows) {
  const [least = 0, median = 0] = [times[0], times[times.length >> 1]];
  console.log(`${name.padEnd(42)} ${least.toFixed(2).padStart(8)} ms  median ${median.toFixed(2).padStart(8)}`);
}
