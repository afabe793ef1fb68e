/**
 * Our engine as a side of the benchmark: the real Model page and worker, loaded as the extension loads them, with the
 * worker of `engine-worker.ts` in place of the shipped one.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundles, options } from '../../esbuild.js';
import { openBrowserEngine } from '../../scripts/browser-engine/browser-engine.mjs';
import { runCommand } from '../../scripts/run-command.mjs';
import { readHeap } from './heap.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * @typedef {Awaited<ReturnType<typeof openEngineSide>>} EngineSide
 * @typedef {import('./session-bench.ts').SessionBench} SessionBench
 */

/**
 * Builds `dist/`, and a copy of it with the worker that can be timed.
 * @returns {Promise<string>} folder of the copy; the caller removes it
 */
export async function buildBenchDist() {
  await runCommand(process.execPath, ['esbuild.js'], { cwd: root });
  const dist = await mkdtemp(path.join(tmpdir(), 'glasshead-bench-'));
  try {
    await cp(path.join(root, 'dist'), dist, { recursive: true });
    const shipped = bundles.find(({ out }) => out === 'webview/engine');
    if (!shipped)
      throw new Error('esbuild.js has no bundle "webview/engine". Name the new one in bench/decode/engine-side.mjs.');
    await build({
      ...options({ ...shipped, in: 'bench/decode/engine-worker.ts' }),
      absWorkingDir: root,
      outdir: dist,
    });
    return dist;
  } catch (thrown) {
    await rm(dist, { recursive: true, force: true });
    throw thrown;
  }
}

/**
 * @param {'simd' | 'ort'} runtime
 * @param {string} dist  Of `buildBenchDist`.
 * @param {number} [threads]  One unless given.
 */
export async function openEngineSide(runtime, dist, threads = 1) {
  const engine = await openBrowserEngine({ device: 'wasm', runtime, dist, threads, isIsolated: threads > 1 });
  try {
    const info = await engine.load();
    if (info.runtime !== runtime) throw new Error(`The engine runs on "${info.runtime}". ${info.runtimeReason}`);
    const worker = engine.page.workers()[0]; // others are its threads
    if (!worker) throw new Error('The Model page has no worker.');
    /**
     * @template {keyof SessionBench} M
     * @param {M} method
     * @param {Parameters<SessionBench[M]>} params
     * @returns {Promise<Awaited<ReturnType<SessionBench[M]>>>}
     */
    const call = (method, ...params) =>
      worker.evaluate(
        ([name, values]) => /** @type {any} */ (globalThis).glassheadBench[name](...values),
        /** @type {const} */ ([method, params]),
      );
    return {
      info,
      call,
      /** JavaScript memory of page and worker, beside WebAssembly's. */
      heap: () => readHeap(engine.page),
      /**
       * @param {import('./prompts.mjs').Prompt} prompt
       * @param {number} steps
       */
      run: ({ ids }, steps) => call('run', ids, { steps, repeats: runtime === 'simd' ? 5 : 1 }),
      close: () => engine.close(),
    };
  } catch (thrown) {
    await engine.close();
    throw thrown;
  }
}
