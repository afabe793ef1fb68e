/** Builds every bundle of the table below into dist/. `--watch` rebuilds, `--dev` leaves out minification. */
const { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const esbuild = require('esbuild');

const isWatch = process.argv.includes('--watch');
const isDev = isWatch || process.argv.includes('--dev');

/** @type {import('esbuild').BuildOptions} */
const page = { platform: 'browser', format: 'iife', target: 'es2023' };

/** One row a bundle: what it is built from, where it goes, how. */
/** @type {(import('esbuild').BuildOptions & {in: string, out: string})[]} */
const bundles = [
  // One extension bundle for Node and for the web worker host: it uses nothing of either.
  {
    in: 'src/extension.ts',
    out: 'extension',
    platform: 'browser',
    format: 'cjs',
    external: ['vscode'],
    target: 'es2023',
  },
  { in: 'webview/model/main.ts', out: 'webview/model', ...page },
  { in: 'webview/playground/main.ts', out: 'webview/playground', ...page },
  { in: 'webview/attention/main.ts', out: 'webview/attention', ...page },
  { in: 'webview/engine/main.ts', out: 'webview/engine', ...page },
];

/** Files that are shipped as they come from a package. */
/** @type {[from: string, to: string][]} */
const copies = [['onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm', 'webview/ort.wasm']];

/** Builds of the kernels in webview/engine/runtime/simd/assembly. */
/** @type {[build: 'relaxed' | 'plain', to: string, isThreaded: boolean][]} */
const kernels = [
  ['relaxed', 'webview/simd-relaxed.wasm', false],
  ['plain', 'webview/simd.wasm', false],
  ['relaxed', 'webview/simd-relaxed-threads.wasm', true],
  ['plain', 'webview/simd-threads.wasm', true],
];

/** @param {(typeof bundles)[number]} row */
function options({ in: entry, out, ...rest }) {
  return /** @type {import('esbuild').BuildOptions & {metafile: true}} */ ({
    entryPoints: [{ in: entry, out }],
    outdir: 'dist',
    bundle: true,
    minify: !isDev,
    sourcemap: isDev ? 'linked' : false,
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
    ...rest,
  });
}

async function main() {
  for (const [from, to] of copies) {
    mkdirSync(path.join('dist', path.dirname(to)), { recursive: true });
    copyFileSync(path.join('node_modules', from), path.join('dist', to));
  }
  await writeKernels();
  if (isWatch) {
    const contexts = await Promise.all(bundles.map((bundle) => esbuild.context(options(bundle))));
    await Promise.all(contexts.map((context) => context.watch()));
    return;
  }
  const results = await Promise.all(bundles.map((bundle) => esbuild.build(options(bundle))));
  const outputs = Object.assign({}, ...results.map(({ metafile }) => metafile.outputs));
  removeStale([...Object.keys(outputs), ...[...copies, ...kernels].map(([, to]) => `dist/${to}`)]);
  for (const [file, { bytes }] of Object.entries(outputs))
    if (file.endsWith('.js')) console.log(`${file}  ${(bytes / 1024).toFixed(0)} kB`);
}

async function writeKernels() {
  const { compileKernels, compileThreadedKernels } = await import('./scripts/kernels.mjs');
  const [single, threaded] = [await compileKernels(), await compileThreadedKernels()];
  mkdirSync('dist/webview', { recursive: true });
  for (const [build, to, isThreaded] of kernels)
    writeFileSync(path.join('dist', to), (isThreaded ? threaded : single)[build]);
}

/**
 * Last, so that a window which has the extension open never finds dist/ empty.
 *
 * @param {string[]} built
 */
function removeStale(built) {
  for (const entry of readdirSync('dist', { recursive: true, withFileTypes: true })) {
    const file = path.posix.join(entry.parentPath.replaceAll(path.sep, '/'), entry.name);
    if (entry.isFile() && !built.includes(file)) rmSync(file);
  }
}

module.exports = { bundles, copies, options };

if (require.main === module)
  main().catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
