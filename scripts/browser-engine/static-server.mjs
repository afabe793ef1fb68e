/** Serves one folder of files, and a few pages made in memory, on loopback; nothing else is readable. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';

const types = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.mjs', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.json', 'application/json'],
  ['.wasm', 'application/wasm'],
  ['.svg', 'image/svg+xml'],
]);

/**
 * @typedef {Buffer | string | null} Replacement  A body in place of the file's, or null for "404 Not Found".
 * @typedef {(bytes: Buffer) => Replacement} Alter
 */

/**
 * @param {object} options
 * @param {Record<string, string>} options.folders  First part of the address -> folder on disk.
 * @param {Map<string, Replacement>} options.pages  Address -> what is served there instead of a file.
 * @param {boolean} [options.isIsolated]  Pages are cross-origin isolated.
 */
export async function startStaticServer({ folders, pages, isIsolated = false }) {
  const server = createServer(async (request, response) => {
    if (isIsolated) {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
    }
    const address = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    const type = types.get(path.extname(address)) ?? 'application/octet-stream';
    const page = pages.get(address);
    if (page === null) return response.writeHead(404).end();
    if (page !== undefined) return response.writeHead(200, { 'content-type': type }).end(page);
    const [, first = '', ...rest] = address.split('/');
    const folder = folders[first];
    const file = folder ? path.join(folder, ...rest) : '';
    const isInside = folder !== undefined && file.startsWith(folder + path.sep);
    const info = isInside ? await stat(file).catch(() => undefined) : undefined;
    if (!info?.isFile()) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': type, 'content-length': info.size, 'cache-control': 'no-store' });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
