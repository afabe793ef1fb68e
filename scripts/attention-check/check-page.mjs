/** Opens a page in a headless Chromium that checks folders of attention, one after the other. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { startStaticServer } from '../browser-engine/static-server.mjs';
import { compileKernels } from '../kernels.mjs';
import { chromiumArguments, ensureChromium } from '../vscode-host/chromium.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const runtimeFiles = path.join(root, 'node_modules', 'onnxruntime-web', 'dist');
/** The build for the CPU knows operators that the one for both lacks. */
const wasm = {
  ort: 'ort-wasm-simd-threaded.wasm',
  simd: 'ort-wasm-simd-threaded.wasm',
  webgpu: 'ort-wasm-simd-threaded.asyncify.wasm',
};

/**
 * @param {object} options
 * @param {'ort' | 'webgpu' | 'simd'} options.runtime
 * @param {readonly string[]} options.folders  On disk.
 */
export async function openCheckPage({ runtime, folders }) {
  const names = Object.fromEntries(folders.map((folder, i) => [`folder${i}`, folder]));
  const bundle = await build({
    entryPoints: [path.join(root, 'scripts', 'attention-check', 'page.ts')],
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'esm',
    target: 'es2023',
    logLevel: 'error',
  });
  const script = bundle.outputFiles[0]?.text ?? '';
  const { plain } = runtime === 'simd' ? await compileKernels() : { plain: undefined };
  /** @type {Map<string, import('../browser-engine/static-server.mjs').Replacement>} */
  const pages = new Map();
  if (plain) pages.set('/kernels.wasm', Buffer.from(plain));
  for (const [address, text] of [
    ['/favicon.ico', ''],
    ['/check.js', script],
    ['/index.html', '<!doctype html><script type="module" src="/check.js"></script>'],
  ])
    pages.set(/** @type {string} */ (address), /** @type {string} */ (text));
  const server = await startStaticServer({ folders: { ort: runtimeFiles, ...names }, pages });
  const browser = await chromium.launch({
    executablePath: await ensureChromium(),
    args: [
      ...chromiumArguments,
      '--enable-unsafe-webgpu',
      '--enable-features=Vulkan',
      '--use-webgpu-adapter=swiftshader',
    ],
  });
  const page = await browser.newPage();
  await page.goto(`${server.origin}/index.html`);
  await page.waitForFunction(() => 'attentionCheck' in globalThis);
  await page.evaluate(
    ([kind, file]) => /** @type {any} */ (globalThis).attentionCheck.start(kind, file),
    [runtime, `/ort/${wasm[runtime]}`],
  );
  return {
    /**
     * @param {string} folder
     * @returns {Promise<import('./check-folder.ts').FolderReport>}
     */
    check: async (folder) => {
      const address = `/folder${folders.indexOf(folder)}`;
      try {
        return await page.evaluate(
          ([at, kind]) => /** @type {any} */ (globalThis).attentionCheck.checkAddress(at, kind),
          [address, runtime],
        );
      } catch (thrown) {
        const failure = thrown instanceof Error ? (thrown.message.split('\n')[0] ?? '') : String(thrown);
        const worst = Number.POSITIVE_INFINITY;
        return {
          name: path.basename(folder),
          cases: [{ name: 'folder', attention: worst, outputs: worst, taps: worst, failures: [failure] }],
        };
      }
    },
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}
