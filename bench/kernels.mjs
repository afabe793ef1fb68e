/**
 * `node bench/kernels.mjs [RUNS] [--node]`: the products of the SIMD runtime alone, in Chromium or in this Node.
 *
 * The matrices have the shapes and formats of the bundled model and made-up numbers: 30 layers at 4 bits, and the head at
 * 8. Prints for both builds and both arithmetics, as the least and the median time over the runs: one token (decode),
 * four, a chunk of 32 (prefill), all with the speed in GB/s of weights or GMAC/s; and a plain read of the same bytes,
 * which is what a token costs at the very least.
 */
import { setFlagsFromString } from 'node:v8';
import { compileKernels } from '../scripts/kernels.mjs';
import { openPeerPage } from './decode/peer-page.mjs';
import { readPass } from './decode/read-pass.mjs';

const runs = Number(process.argv.slice(2).find((word) => !word.startsWith('--')) ?? 9);

/**
 * @typedef {object} Input
 * @property {Record<string, number[]>} builds
 * @property {number[]} readPass
 * @property {number} runs
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {number} bytes  Of weights that are read once.
 * @property {number} products  Multiplications.
 * @property {number[]} times  In ms, ascending.
 */

/**
 * Runs in the page: nothing from outside is used.
 *
 * @param {Input} input
 * @returns {Promise<Row[]>}
 */
async function measure(input) {
  const reader = await WebAssembly.instantiate(Uint8Array.from(input.readPass));
  const { memory: readMemory, read } = /** @type {any} */ (reader.instance.exports);
  /** @type {{name: string, bytes: number, products: number, run: () => void}[]} */
  const cases = [];
  for (const [build, bytes] of Object.entries(input.builds)) {
    const memory = new WebAssembly.Memory({ initial: 2048 });
    const { instance } = await WebAssembly.instantiate(Uint8Array.from(bytes), { env: { memory } });
    const kernels = /** @type {Record<string, (...args: number[]) => number>} */ (instance.exports);
    const words = new Uint32Array(memory.buffer);
    // Numbers whose halves are ordinary as float16 and as bfloat16.
    for (let i = 1 << 16; i < words.length; i++)
      words[i] = ((Math.imul(i, 2_654_435_761) ^ (i << 7)) & 0x1fff1fff) | 0x20002000;
    const [descriptors, from, quantised, to] = [65_536, 110 * 2 ** 20, 111 * 2 ** 20, 122 * 2 ** 20];
    new Float32Array(memory.buffer, from, 32 * 1536).forEach((_, i, floats) => {
      floats[i] = Math.sin(i);
    });
    let [next, count] = [2 ** 20, 0];
    /** @param {number} kind 0: 4 bits, 1: 8 bits @param {number} rows @param {number} columns @param {number} format */
    const matrix = (kind, rows, columns, format) => {
      const record = (kind === 0 ? 128 : 256) + (format === 1 ? 32 : 16);
      const descriptor = descriptors + 64 * count++;
      words.set([kind, rows, columns, 32, format, next, record, 0, rows, columns], descriptor / 4);
      const sizeBytes = (rows / 8) * (columns / 32) * record;
      next += sizeBytes;
      return { descriptor, rows, columns, sizeBytes };
    };
    /** @type {[number, number][]} */
    const shapes = [
      [576, 576],
      [192, 576],
      [192, 576],
      [576, 576],
      [1536, 576],
      [1536, 576],
      [576, 1536],
    ];
    const layers = Array.from({ length: 30 }, () =>
      shapes.map(([rows, columns]) => matrix(0, rows, columns, 1)),
    ).flat();
    const head = [matrix(1, 49_152, 576, 3)];
    const lists = { layers, head, 'layers and head': [...layers, ...head] };
    /** @param {typeof head} list */
    const sizeOf = (list) => list.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    /** @param {keyof typeof lists} name @param {number} tokens @param {boolean} isExact */
    const add = (name, tokens, isExact) => {
      const list = lists[name];
      const products = tokens * list.reduce((sum, { rows, columns }) => sum + rows * columns, 0);
      const run = () => {
        for (const { descriptor, rows, columns } of list) {
          if (isExact) kernels.linearFloat?.(descriptor, tokens, from, columns, 0, to, rows);
          else {
            kernels.quantiseRows?.(from, columns, tokens, columns, quantised);
            kernels.linearQuantised?.(descriptor, tokens, quantised, 0, to, rows);
          }
        }
      };
      const label = `${build.padEnd(7)} ${isExact ? 'float32' : 'int8   '} ${name}, ${tokens}`;
      cases.push({ name: label, bytes: sizeOf(list), products, run });
    };
    const all = sizeOf(lists['layers and head']);
    readMemory.grow(Math.max(0, Math.ceil((all - readMemory.buffer.byteLength) / 65_536)));
    new Uint8Array(readMemory.buffer).fill(1);
    if (cases.length === 0)
      cases.push({ name: 'a plain read', bytes: all, products: 0, run: () => read(Math.floor(all / 128) * 128) });
    for (const isExact of [false, true]) {
      add('layers and head', 1, isExact);
      add('layers', 1, isExact);
      add('head', 1, isExact);
      for (const tokens of [2, 4, 8, 32]) add('layers', tokens, isExact);
      add('head', 4, isExact);
    }
  }
  /** @type {number[][]} */
  const times = cases.map(() => []);
  for (let turn = 0; turn <= input.runs; turn++)
    for (const [i, { run }] of cases.entries()) {
      const startedAt = performance.now();
      run();
      if (turn > 0) times[i]?.push(performance.now() - startedAt);
    }
  return cases.map(({ name, bytes, products }, i) => {
    return { name, bytes, products, times: (times[i] ?? []).sort((a, b) => a - b) };
  });
}

const { relaxed, plain } = await compileKernels();
const input = { builds: { relaxed: [...relaxed], plain: [...plain] }, readPass: [...readPass], runs };
/** @type {Row[]} */
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
for (const { name, bytes, products, times } of rows) {
  const [least = 0, median = 0] = [times[0], times[times.length >> 1]];
  const speed = `${(bytes / least / 1e6).toFixed(1)} GB/s, ${(products / least / 1e6).toFixed(1)} GMAC/s`;
  console.log(
    `${name.padEnd(42)} ${least.toFixed(2).padStart(8)} ms  median ${median.toFixed(2).padStart(8)}  ${speed}`,
  );
}
