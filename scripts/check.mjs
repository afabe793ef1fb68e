/** `npm run check`: types, lint with the folder rules, unused code. Runs all and fails if any does. */
import { spawnSync } from 'node:child_process';

const assembly = 'webview/engine/runtime/simd/assembly';
const threads = ['--enable', 'threads', '--importMemory', '--sharedMemory', '--maximumMemory', '65536'];
const kernelFeatures = ['--runtime', 'stub', '--use', 'abort=', '--enable', 'simd', '--enable', 'relaxed-simd'];

/** @type {[name: string, command: string, args: string[]][]} */
const steps = [
  ['types of src', 'tsc', ['-p', 'src']],
  ['types of webview', 'tsc', ['-p', 'webview']],
  ['types of webview/engine', 'tsc', ['-p', 'webview/engine']],
  ['types of test, scripts and bench', 'tsc', ['-p', 'test']],
  ['types of the kernels', 'asc', [`${assembly}/index.ts`, '--noEmit', ...kernelFeatures]],
  ['types of their threads', 'asc', [`${assembly}/index-threads.ts`, '--noEmit', ...kernelFeatures, ...threads]],
  ['format and lint', 'biome', ['check', '--error-on-warnings']],
  ['unused code', 'knip', []],
];

let failed = 0;
for (const [name, command, args] of steps) {
  const { status } = spawnSync(`node_modules/.bin/${command}`, args, { stdio: 'inherit' });
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name}`);
  if (status !== 0) failed++;
}
process.exit(failed === 0 ? 0 : 1);
