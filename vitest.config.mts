import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const transformers = fileURLToPath(new URL('node_modules/@huggingface/transformers', import.meta.url));

/** Three kinds of tests: pure code in Node, the engine and the pages in Chromium, the extension in a real VS Code. */
export default defineConfig({
  test: {
    passWithNoTests: false,
    projects: [
      {
        // The build of transformers.js that the engine worker holds, not the one for Node.
        resolve: { alias: { '@huggingface/transformers': `${transformers}/dist/transformers.web.js` } },
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 20_000,
          // Node 20 has relaxed SIMD behind a flag; a Node that has it without takes the flag all the same.
          execArgv: ['--experimental-wasm-relaxed-simd'],
        },
      },
      {
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'host',
          include: ['test/host/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 600_000,
          // A whole editor on a busy machine drops a click now and then; what is wrong fails twice.
          retry: 1,
          fileParallelism: false,
        },
      },
    ],
  },
});
