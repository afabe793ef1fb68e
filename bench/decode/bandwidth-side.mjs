/** How fast one WASM thread of this machine reads memory: what a decoded token costs at the very least. */
import { openPeerPage } from './peer-page.mjs';
import { readPass } from './read-pass.mjs';

export async function openBandwidthSide() {
  const { page, close } = await openPeerPage({});
  await page.evaluate(
    async (code) => {
      const { instance } = await WebAssembly.instantiate(Uint8Array.from(code));
      Object.assign(globalThis, { reader: instance.exports });
    },
    [...readPass],
  );
  return {
    /**
     * @param {number} sizeBytes  Of memory that is read from start to end.
     * @param {number} passes
     * @returns {Promise<number>} bytes per second, the median of the passes
     */
    measure: (sizeBytes, passes) =>
      page.evaluate(
        ([wanted, count]) => {
          const { memory, read } = /** @type {{memory: WebAssembly.Memory, read: (end: number) => number}} */ (
            /** @type {any} */ (globalThis).reader
          );
          const end = Math.ceil(wanted / 128) * 128;
          const missing = Math.ceil((end - memory.buffer.byteLength) / 65_536);
          if (missing > 0) {
            memory.grow(missing);
            new Uint8Array(memory.buffer).fill(1); // pages that were never written to are all one page of zeros
          }
          read(end);
          const times = Array.from({ length: count }, () => {
            const startedAt = performance.now();
            read(end);
            return performance.now() - startedAt;
          }).sort((a, b) => a - b);
          return (1000 * end) / /** @type {number} */ (times[count >> 1]);
        },
        /** @type {const} */ ([sizeBytes, passes]),
      ),
    close,
  };
}
