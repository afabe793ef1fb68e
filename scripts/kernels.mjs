/**
 * Compiles the kernels of the SIMD runtime from AssemblyScript, twice: with relaxed SIMD, and with SIMD 128 alone.
 *
 *     const { relaxed, plain } = await compileKernels();   // Uint8Arrays of WebAssembly
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../webview/engine/runtime/simd/assembly', import.meta.url));

export async function compileKernels() {
  return { relaxed: await compile(['simd', 'relaxed-simd']), plain: await compile(['simd']) };
}

/**
 * @param {string[]} features
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function compile(features) {
  const { main } = await import('assemblyscript/asc');
  const chunks = /** @type {Record<string, string | Uint8Array>} */ ({});
  const { error, stderr } = await main(
    [
      'index.ts',
      // Not -O3: it moves each sum to where it is used first, so that the sums of four tokens need 16 registers more.
      ...['--baseDir', folder, '--outFile', 'kernels.wasm', '--runtime', 'stub', '-O1', '--noAssert', '--importMemory'],
      // The kernels' own constants and buffers lie in the first page; what others allocate begins with the second.
      ...['--initialMemory', '1', '--memoryBase', '1024', '--use', 'abort='],
      ...features.flatMap((one) => ['--enable', one]),
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
