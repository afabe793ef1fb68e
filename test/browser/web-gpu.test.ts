/** WebGPU on SwiftShader, against WebAssembly, in a worker with the CSP of the Model page. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { build } from 'esbuild';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumArguments, ensureChromium } from '../../scripts/vscode-host/chromium.mjs';

const model = 'media/models/SmolLM2-135M-Instruct';
const files: Record<string, string> = {
  '/graph': `${model}/onnx/model_q4.onnx`,
  '/data': `${model}/onnx/model_q4.onnx_data`,
  '/config': `${model}/config.json`,
  '/ort.wasm': 'node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm',
};
const csp = `default-src 'none'; script-src 'nonce-page' blob: 'wasm-unsafe-eval'; worker-src blob:; connect-src 'self'`;

async function serve(): Promise<Server> {
  const { outputFiles } = await build({
    entryPoints: ['test/browser/support/runtime-worker.ts'],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    target: 'es2023',
    logLevel: 'error',
  });
  const server = createServer(async ({ url = '/' }, response) => {
    const file = files[url];
    if (file) return response.end(await readFile(file));
    if (url === '/worker.js') return response.end(outputFiles[0]?.contents);
    response.setHeader('content-type', 'text/html');
    response.setHeader('content-security-policy', csp);
    return response.end('<!doctype html><title>WebGPU</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

async function compareInPage(browser: Browser, address: string) {
  const page = await browser.newPage();
  await page.goto(address);
  return page.evaluate(async () => {
    const get = async (url: string) => (await fetch(url)).arrayBuffer();
    const source = new Blob([await get('/worker.js')], { type: 'text/javascript' });
    const [graph, data, ortWasm] = await Promise.all([get('/graph'), get('/data'), get('/ort.wasm')]);
    const config = await (await fetch('/config')).json();
    const worker = new Worker(URL.createObjectURL(source));
    const answer = new Promise<Record<string, unknown>>((resolve, reject) => {
      worker.onmessage = (event) => {
        if (event.data.error) reject(new Error(event.data.error));
        else resolve(event.data.value);
      };
      worker.onerror = (event) => reject(new Error(event.message));
    });
    const bytes = { graph: new Uint8Array(graph), data: new Uint8Array(data), config, ortWasm };
    worker.postMessage(bytes, [graph, data, ortWasm]);
    return answer;
  });
}

describe('WebGPU on an adapter emulated in software', () => {
  let server: Server;
  let browser: Browser;
  let found: Record<string, unknown>;

  beforeAll(async () => {
    server = await serve();
    browser = await chromium.launch({ executablePath: await ensureChromium(), args: chromiumArguments });
    found = await compareInPage(browser, `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  }, 600_000);

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  it('is not preferred to WebAssembly', () => {
    expect(found.automatic).toEqual({ refused: expect.stringContaining('emulated in software') });
  });

  it('is found to be wrong for 32 tokens or more at once, and right in steps of 31', () => {
    expect(found.probed).toMatchObject({
      isRight: true,
      maxChunk: 31,
      fault: expect.stringMatching(/^with 33 tokens at once the top token is right at \d+ % of the positions/),
    });
  });

  it('taps the same attention as WebAssembly', () => {
    expect(found.attention).toBeLessThan(1e-3);
  });

  it('crops and forks caches on the GPU', () => {
    expect(found.caches).toBeLessThan(1e-2);
  });
});
