/** transformers.js as a side of the benchmark: its own model class and decode loop, on WASM in one thread. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { openPeerPage } from './peer-page.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs in the page. */
const source = `
  import { AutoModelForCausalLM, BaseStreamer, Tensor, env } from '@huggingface/transformers';
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = '/models/';
  env.useBrowserCache = false;
  env.useWasmCache = false;
  env.backends.onnx.wasm.wasmPaths = location.origin + '/ort/';
  env.backends.onnx.wasm.numThreads = 1;

  class Times extends BaseStreamer {
    at = [];
    put() {
      this.at.push(performance.now());
    }
    end() {}
  }

  let model;
  globalThis.load = async (name) => {
    model = await AutoModelForCausalLM.from_pretrained(name, { dtype: 'q4', device: 'wasm' });
  };
  globalThis.run = async (ids, steps) => {
    const shape = [1, ids.length];
    const times = new Times();
    const startedAt = performance.now();
    await model.generate({
      input_ids: new Tensor('int64', BigInt64Array.from(ids, BigInt), shape),
      attention_mask: new Tensor('int64', new BigInt64Array(ids.length).fill(1n), shape),
      do_sample: false,
      max_new_tokens: steps + 1,
      min_new_tokens: steps + 1,
      streamer: times,
    });
    // The streamer is given the prompt first, then every token.
    const [, first, ...rest] = times.at;
    if (rest.length !== steps) throw new Error('transformers.js made ' + (rest.length + 1) + ' tokens, not ' + (steps + 1));
    return { prefillMs: first - startedAt, decodeMs: (rest.at(-1) ?? first) - first };
  };`;

export async function openTransformersSide() {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: root },
    ...{ bundle: true, write: false, format: 'esm', platform: 'browser', target: 'es2023', logLevel: 'error' },
  });
  const { page, close } = await openPeerPage(
    { models: path.join(root, 'media/models'), ort: path.join(root, 'node_modules/onnxruntime-web/dist') },
    { '/transformers.js': outputFiles[0]?.text ?? '' },
  );
  try {
    await page.evaluate(async (name) => {
      const script = '/transformers.js';
      await import(script);
      await /** @type {any} */ (globalThis).load(name);
    }, 'SmolLM2-135M-Instruct');
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
    run: ({ ids }, steps) =>
      page.evaluate(
        ([prompt, count]) => /** @type {any} */ (globalThis).run(prompt, count),
        /** @type {const} */ ([ids, steps]),
      ),
    close,
  };
}
