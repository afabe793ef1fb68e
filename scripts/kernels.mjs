/**
 * Compiles the kernels of the SIMD runtime from AssemblyScript: with relaxed SIMD and with SIMD 128 alone, each for one
 * thread and for several that share a memory.
 *
 *     const { relaxed, plain } = await compileKernels();   // Uint8Arrays of WebAssembly
 *     const threaded = await compileThreadedKernels();     // the same
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../webview/engine/runtime/simd/assembly', import.meta.url));

/** Shared memory is empty when the first instance comes: the others must not write zeros over what it did since. */
const shared = ['--enable', 'threads', '--sharedMemory', '--maximumMemory', '65536', '--zeroFilledMemory'];

export async function compileKernels() {
  return {
    relaxed: await compile('index.ts', ['simd', 'relaxed-simd']),
    plain: await compile('index.ts', ['simd']),
  };
}

/** The first of them without taps, gates, patches and cuts, for the bench of what these cost. */
export async function compileWithoutInspection() {
  return compile('index.ts', ['simd', 'relaxed-simd'], ['--use', 'WITHOUT_INSPECTION=1']);
}

export async function compileThreadedKernels() {
  return {
    relaxed: await compile('index-threads.ts', ['simd', 'relaxed-simd'], shared),
    plain: await compile('index-threads.ts', ['simd'], shared),
  };
}

/**
 * @param {string} entry
 * @param {string[]} features
 * @param {string[]} [more]
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function compile(entry, features, more = []) {
  const { main } = await import('assemblyscript/asc');
  const chunks = /** @type {Record<string, string | Uint8Array>} */ ({});
  const { error, stderr } = await main(
    [
      entry,
      // Not -O3: it moves each sum to where it is used first, so that the sums of four tokens need 16 registers more.
      ...['--baseDir', folder, '--outFile', 'kernels.wasm', '--runtime', 'stub', '-O1', '--noAssert', '--importMemory'],
      // The kernels' own constants and buffers lie in the first page; what others allocate begins with the second.
      ...['--initialMemory', '1', '--memoryBase', '1024', '--use', 'abort='],
      ...features.flatMap((one) => ['--enable', one]),
      ...more,
    ],
    {
      writeFile: (name, contents) => {
        chunks[name] = contents;
      },
    },
  );
  if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
  const [bytes] = [chunks['kernels.wasm']];
  if (!(bytes instanceof Uint8Array)) throw new Error(`The compiler of ${path.basename(folder)} wrote nothing.`);
  return new Uint8Array(bytes);
}
