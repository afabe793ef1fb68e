/**
 * Opens the real Model page with its worker in a headless Chromium, with a server on loopback in place of VS Code's
 * resources and the real engine client in place of the extension. Needs a built `dist/`.
 *
 *     const engine = await openBrowserEngine({ device: 'wasm' });
 *     const model = await engine.load();
 *     const { text } = await engine.call('generate', request, { onProgress, signal });
 *     engine.page;                  // Playwright's page: the Model view itself
 *     await engine.close();
 *
 * Parameters and results are those of `src/shared/engine-contract.ts`; typed arrays arrive as typed arrays. A call that
 * fails throws an Error with the engine's `code`. Like the extension, a call starts the engine when it is off or failed.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { chromiumArguments, ensureChromium } from '../vscode-host/chromium.mjs';
import { startStaticServer } from './static-server.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * @typedef {import('../../src/shared/engine-contract.ts').LoadRequest} LoadRequest
 * @typedef {import('../../src/shared/engine-contract.ts').ModelInfo} ModelInfo
 * @typedef {import('../../src/shared/engine-state.ts').EngineState} EngineState
 * @typedef {typeof import('../../src/shared/engine-contract.ts').engineMethods} Methods
 */

/**
 * @typedef {object} BrowserEngineOptions
 * @property {'auto' | 'webgpu' | 'wasm'} [device]  'wasm' unless given.
 * @property {boolean} [allowSoftwareAdapter]  Try WebGPU on SwiftShader too.
 * @property {string} [model]  A bundled model's id, or a folder on disk with a model.
 * @property {'simd' | 'ort'} [runtime]
 * @property {'int8' | 'float32'} [arithmetic]
 * @property {'float32' | 'float16'} [cachePrecision]
 * @property {number} [threads]
 * @property {boolean} [isIsolated]  Serve the page cross-origin isolated, with SharedArrayBuffer.
 * @property {number} [cacheLimitBytes]
 * @property {readonly string[]} [args]  More arguments for Chromium.
 * @property {string} [dist]  The folder of the built bundles, `dist` unless given.
 * @property {{tickMs: number, silentTicks: number}} [patience]  When a silent worker counts as dead.
 * @property {string} [initScript]  Source that runs in the page before everything else.
 * @property {(level: string, message: string) => void} [onLog]
 */

/** An error of the engine, with its code. */
class EngineError extends Error {
  /** @param {{code: string, message: string}} error */
  constructor({ code, message }) {
    super(message);
    this.name = 'EngineError';
    this.code = code;
  }
}

/** @param {BrowserEngineOptions} [options] */
export async function openBrowserEngine(options = {}) {
  const { dist = path.join(root, 'dist'), onLog = () => {} } = options;
  const { renderPageHtml, describeModel } = await importSource('scripts/browser-engine/page-side.ts');
  const { model, folder } = await describeModel(
    options.model ?? 'SmolLM2-135M-Instruct',
    path.join(root, 'media', 'models'),
  );
  /** @type {Map<string, import('./static-server.mjs').Replacement>} */
  const pages = new Map([['/favicon.ico', '']]);
  const server = await startStaticServer({
    folders: { dist, media: path.join(root, 'media'), model: folder },
    pages,
    isIsolated: options.isIsolated === true,
  });
  const address = (/** @type {string[]} */ ...parts) => `${server.origin}/${parts.join('/')}`;
  const { tickMs, silentTicks } = options.patience ?? {};
  const data = {
    dist: address('dist', 'webview'),
    ...(tickMs && { 'tick-ms': String(tickMs), 'silent-ticks': String(silentTicks) }),
  };
  pages.set(
    '/model.html',
    renderPageHtml({ cspSource: server.origin, address, page: 'model', title: 'Model', isEngineHome: true, data }),
  );

  /** @returns {LoadRequest} */
  const describeLoad = (overrides = {}) => ({
    modelId: model.id,
    modelName: model.name,
    files: model.files.map((/** @type {{path: string}} */ file) => ({ ...file, url: address('model', file.path) })),
    device: options.device ?? 'wasm',
    cacheLimitBytes: options.cacheLimitBytes ?? 256 * 2 ** 20,
    ...pick(options, ['runtime', 'arithmetic', 'cachePrecision', 'threads']),
    ...(options.allowSoftwareAdapter !== undefined && { allowSoftwareAdapter: options.allowSoftwareAdapter }),
    ...overrides,
  });

  const browser = await chromium.launch({
    executablePath: await ensureChromium(),
    args: [...chromiumArguments, ...(options.args ?? [])],
  });
  const page = await browser.newPage();
  /** @type {string[]} */
  const requests = [];
  page.context().on('request', (request) => requests.push(request.url()));
  /** @type {Map<number, (value: any) => void>} */
  const listeners = new Map();
  /** @type {EngineState[]} */
  const states = [];
  /** @type {string[]} */
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  await page.exposeFunction(
    'glassheadTell',
    (/** @type {string} */ kind, /** @type {any} */ id, /** @type {any} */ value) => {
      if (kind === 'progress') listeners.get(id)?.(value);
      else if (kind === 'state') states.push(value);
      else onLog(id, value);
    },
  );
  const hostOptions = { load: describeLoad(), ...(options.patience && { patience: options.patience }) };
  await page.addInitScript(`window.glassheadOptions = ${JSON.stringify(hostOptions)};`);
  if (options.initScript) await page.addInitScript(options.initScript);
  await page.addInitScript(await bundleSource('scripts/browser-engine/host-side.ts', 'iife'));
  await page.goto(`${server.origin}/model.html`);

  let nextId = 1;
  /** @param {{value: any} | {error: {code: string, message: string}}} reply */
  const unwrap = (reply) => {
    if ('error' in reply) throw new EngineError(reply.error);
    return reply.value;
  };

  return {
    page,
    browser,
    origin: server.origin,
    /** Address of every request that the page or its worker made, in order. */
    requests,
    /** Every state the engine went through. */
    states,
    /** Errors of the page's console: exceptions, violations of the Content-Security-Policy. */
    problems,

    /** What `load` asks for: the model's files with their addresses. */
    describeLoad,

    /** @returns {Promise<EngineState>} */
    state: () => page.evaluate(() => /** @type {any} */ (window).glasshead.state()),

    /**
     * Loads the model, afresh if one was loaded.
     * @param {Partial<LoadRequest>} [overrides]
     * @returns {Promise<ModelInfo>}
     */
    load: async (overrides) =>
      unwrap(
        await page.evaluate((request) => /** @type {any} */ (window).glasshead.load(request), describeLoad(overrides)),
      ),

    stop: async () => unwrap(await page.evaluate(() => /** @type {any} */ (window).glasshead.stop())),
    restart: async () => unwrap(await page.evaluate(() => /** @type {any} */ (window).glasshead.restart())),

    /**
     * @template {keyof Methods & string} M
     * @param {M} method
     * @param {import('../../src/shared/peer.ts').Params<Methods, M>} params
     * @param {import('../../src/shared/peer.ts').CallOptions<import('../../src/shared/peer.ts').Progress<Methods, M>>} [callOptions]
     * @returns {Promise<import('../../src/shared/peer.ts').Result<Methods, M>>}
     */
    call: async (method, params, { signal, onProgress } = {}) => {
      const id = nextId++;
      if (onProgress) listeners.set(id, onProgress);
      const cancel = () => void page.evaluate((call) => /** @type {any} */ (window).glasshead.cancel(call), id);
      signal?.addEventListener('abort', cancel, { once: true });
      try {
        const reply = page.evaluate(
          ([call, name, value]) => /** @type {any} */ (window).glasshead.call(call, name, value),
          /** @type {const} */ ([id, method, params]),
        );
        if (signal?.aborted) cancel();
        return unwrap(await reply);
      } finally {
        listeners.delete(id);
        signal?.removeEventListener('abort', cancel);
      }
    },

    /**
     * From now on serves something else in place of a model's file; null is "404 Not Found", undefined the file again.
     * @param {string} file  Path inside the model's folder.
     * @param {((bytes: Buffer) => Buffer | string) | null} [alter]
     */
    alterFile: async (file, alter) => {
      const where = `/model/${file}`;
      if (alter === undefined) pages.delete(where);
      else pages.set(where, alter === null ? null : alter(await readFile(path.join(folder, file))));
    },

    /**
     * Terminates the worker as soon as a load reports this phase.
     * @param {import('../../src/shared/engine-contract.ts').LoadProgress['phase']} phase
     */
    killWorkerAt: (phase) => page.evaluate((at) => /** @type {any} */ (window).glasshead.killWorkersAt(at), phase),

    /** Terminates the worker without a word to the page; returns how many workers were started so far. */
    killWorker: () => page.evaluate(() => /** @type {any} */ (window).glasshead.killWorkers()),

    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}

/**
 * @param {string} file
 * @param {'iife' | 'esm'} format
 */
async function bundleSource(file, format) {
  const { outputFiles } = await build({
    entryPoints: [path.join(root, file)],
    bundle: true,
    write: false,
    format,
    platform: format === 'esm' ? 'node' : 'browser',
    target: 'es2023',
    logLevel: 'warning',
  });
  return outputFiles[0]?.text ?? '';
}

/**
 * Imports TypeScript of the project as it stands.
 * @param {string} file  Relative to the root of the project.
 */
export async function importSource(file) {
  const folder = await mkdtemp(path.join(tmpdir(), 'glasshead-source-'));
  try {
    const bundle = path.join(folder, 'bundle.mjs');
    await writeFile(bundle, await bundleSource(file, 'esm'));
    return await import(pathToFileURL(bundle).href);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Those of the options that are given.
 *
 * @template {keyof BrowserEngineOptions} K
 * @param {BrowserEngineOptions} options
 * @param {readonly K[]} names
 */
function pick(options, names) {
  const given = names.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]]));
  return /** @type {Pick<BrowserEngineOptions, K>} */ (Object.fromEntries(given));
}
