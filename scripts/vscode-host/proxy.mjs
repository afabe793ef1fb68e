/**
 * Stands before code-server and makes it behave like a desktop VS Code under development: it names the extensions to
 * load from folders, and gives each webview an origin of its own.
 */
import http from 'node:http';
import net from 'node:net';

// On plain "localhost" the webviews' sub-domains would be cross-site, and Chromium refuses their service worker.
const hostName = 'w.e2e.localhost';

/**
 * @typedef {object} ProxyOptions
 * @property {number} port of code-server on 127.0.0.1
 * @property {readonly string[]} developmentExtensions folders
 * @property {boolean} isIsolated make the workbench and its webviews cross-origin isolated
 * @property {number | undefined} preferredPort to listen on when it is free, so that what the browser stores is found again
 */

/**
 * @param {ProxyOptions} options
 * @returns {Promise<{origin: string, close: () => void}>}
 */
export async function startProxy(options) {
  const { port, isIsolated } = options;
  /** @type {Set<net.Socket>} */
  const sockets = new Set();
  let authority = '';

  const server = http.createServer((request, response) => {
    // Asked for plainly, because the page is edited; and never cached, because the edit differs from start to start.
    const headers = { ...request.headers, host: authority, 'accept-encoding': 'identity' };
    const target = { host: '127.0.0.1', port, path: request.url, method: request.method, headers };
    const upstream = http.request(target, (answer) => {
      const answerHeaders = { ...answer.headers };
      if (isIsolated) {
        answerHeaders['cross-origin-opener-policy'] = 'same-origin';
        answerHeaders['cross-origin-embedder-policy'] = 'require-corp';
        answerHeaders['cross-origin-resource-policy'] = 'cross-origin';
      }
      const isWorkbench = request.url?.split('?')[0] === '/' && answer.headers['content-type']?.includes('text/html');
      if (!isWorkbench) {
        response.writeHead(answer.statusCode ?? 502, answerHeaders);
        answer.pipe(response);
        return;
      }
      /** @type {Buffer[]} */
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => {
        const policy = String(answerHeaders['content-security-policy'] ?? '');
        answerHeaders['content-security-policy'] = policy.replace("frame-src 'self'", `$& http://*.${authority}`);
        delete answerHeaders['content-length'];
        response.writeHead(answer.statusCode ?? 502, answerHeaders);
        response.end(editWorkbench(Buffer.concat(chunks).toString('utf8'), authority, options.developmentExtensions));
      });
    });
    upstream.on('error', () => response.writeHead(502).end());
    request.pipe(upstream);
  });

  server.on('upgrade', (request, socket, head) => {
    const client = /** @type {net.Socket} */ (socket);
    const upstream = net.connect(port, '127.0.0.1', () => {
      const lines = [`${request.method} ${request.url} HTTP/1.1`];
      for (let i = 0; i < request.rawHeaders.length; i += 2)
        lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
      upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
      upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
    for (const end of [client, upstream]) {
      end.setNoDelay(true);
      sockets.add(end);
      end.on('close', () => sockets.delete(end));
    }
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
  });

  const listeningPort = await listen(server, options.preferredPort);
  authority = `${hostName}:${listeningPort}`;
  return {
    origin: `http://${authority}`,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      server.close();
    },
  };
}

/**
 * @param {http.Server} server
 * @param {number} [preferredPort]
 * @returns {Promise<number>}
 */
function listen(server, preferredPort = 0) {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (preferredPort === 0) reject(error);
      else listen(server).then(resolve, reject);
    });
    server.listen(preferredPort, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    });
  });
}

/**
 * @param {string} html the workbench's page, with its configuration in an attribute
 * @param {string} authority
 * @param {readonly string[]} extensions
 */
function editWorkbench(html, authority, extensions) {
  const pattern = /(id="vscode-workbench-web-configuration" data-settings=")([^"]*)"/;
  const found = pattern.exec(html);
  if (!found)
    throw new Error('This VS Code server has no configuration in its page: its version is not the pinned one.');
  const configuration = JSON.parse(String(found[2]).replaceAll('&quot;', '"').replaceAll('&amp;', '&'));
  // A path on the server; with the template below it is reached under each webview's own origin.
  const endpoint = new URL(configuration.webviewEndpoint, `http://${authority}/`).pathname;
  configuration.webviewEndpoint = undefined;
  configuration.productConfiguration = {
    ...configuration.productConfiguration,
    webviewContentExternalBaseUrlTemplate: `http://{{uuid}}.${authority}${endpoint}/`,
  };
  configuration.developmentOptions = {
    ...configuration.developmentOptions,
    extensions: extensions.map((folder) => ({ $mid: 1, scheme: 'vscode-remote', authority, path: folder })),
  };
  const settings = JSON.stringify(configuration).replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  return html.replace(pattern, (_, start) => `${start}${settings}"`);
}
