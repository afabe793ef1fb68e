/** wllama (llama.cpp in WASM) as a side of the benchmark: its single-thread build, on the same model as a GGUF file. */
import path from 'node:path';
import { fetchGguf, fetchWllama } from './peer-files.mjs';
import { openPeerPage } from './peer-page.mjs';

/** Runs in the page. */
const source = `
  import { Wllama } from '/wllama/index.js';
  const wllama = new Wllama({ default: '/wllama/wasm/wllama.wasm' }, { suppressNativeLog: true });
  globalThis.load = async (file) => {
    const blob = await (await fetch('/gguf/' + file)).blob();
    await wllama.loadModel([blob], { n_gpu_layers: 0, n_threads: 1, n_ctx: 2048, n_parallel: 1 });
    if (wllama.isMultithread()) throw new Error('wllama took its build with threads.');
  };
  globalThis.run = async ({ ids, text }, steps) => {
    const { timings } = await wllama.createCompletion({
      prompt: text, // ids end its worker
      max_tokens: steps + 1,
      ...{ temperature: 0, ignore_eos: true, cache_prompt: false },
    });
    if (timings.prompt_n !== ids.length || timings.predicted_n !== steps + 1)
      throw new Error('wllama read ' + timings.prompt_n + ' tokens and made ' + timings.predicted_n);
    // Its clock of predicted tokens starts when the first of them is drawn (llama.cpp, tools/server).
    return { prefillMs: timings.prompt_ms, decodeMs: steps > 0 ? timings.predicted_ms : 0 };
  };`;

/** @throws Error when the package or the model cannot be had. */
export async function openWllamaSide() {
  const [folder, gguf] = [await fetchWllama(), await fetchGguf()];
  const { page, close } = await openPeerPage(
    { wllama: path.join(folder, 'esm'), gguf: path.dirname(gguf) },
    { '/wllama.js': source },
  );
  try {
    await page.evaluate(async (file) => {
      const script = '/wllama.js';
      await import(script);
      await /** @type {any} */ (globalThis).load(file);
    }, path.basename(gguf));
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return {
    /**
     * @param {import('./prompts.mjs').Prompt} prompt
     * @param {number} steps
     * @returns {Promise<{prefillMs: number, decodeMs: number}>}
     */
    run: (prompt, steps) =>
      page.evaluate(
        ([text, count]) => /** @type {any} */ (globalThis).run(text, count),
        /** @type {const} */ ([prompt, steps]),
      ),
    close,
  };
}
