/**
 * An extension beside the one under test: runs what Node sends in the extension host, with `vscode` in scope, and sends
 * the result back as JSON. It is an extension and not an extensionTestsPath, because VS Code's test mode refuses
 * dialogs and a test module does not come back after a reload.
 */
const net = require('node:net');
const vscode = require('vscode');

const port = Number(process.env.GLASSHEAD_DRIVER_PORT);
const token = process.env.GLASSHEAD_DRIVER_TOKEN;

/** @param {import('vscode').ExtensionContext} context */
function activate(context) {
  if (!port) return;
  const socket = net.connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.setEncoding('utf8');
  /** @param {object} message */
  const send = (message) => socket.writable && socket.write(`${JSON.stringify(message)}\n`);
  let serverGroup = 0;
  let rest = '';
  socket.on('data', (text) => {
    const lines = `${rest}${text}`.split('\n');
    rest = String(lines.pop());
    for (const line of lines) {
      const message = JSON.parse(line);
      if ('serverGroup' in message) serverGroup = message.serverGroup;
      else void evaluate(message, send);
    }
  });
  socket.on('error', () => {});
  // The program that drives us is gone without a goodbye: nobody else would end this server.
  socket.on('close', () => serverGroup && process.kill(-serverGroup, 'SIGKILL'));
  send({ token });
  context.subscriptions.push({
    dispose: () => {
      serverGroup = 0;
      socket.destroy();
    },
  });
}

/**
 * @param {{id: number, source: string, argument: unknown}} request
 * @param {(message: object) => void} send
 */
async function evaluate({ id, source, argument }, send) {
  try {
    const run = new Function('vscode', 'require', `return (${source})`)(vscode, require);
    const value = await run(vscode, argument, (/** @type {unknown} */ event) => send({ id, event: event ?? null }));
    send({ id, value: toJson(value) });
  } catch (error) {
    const { message, stack, code } = error instanceof Error ? /** @type {any} */ (error) : { message: String(error) };
    send({ id, error: { message, stack, code } });
  }
}

/** @param {unknown} value commands return all kinds of things; what is no JSON is nothing */
function toJson(value) {
  try {
    return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
  } catch {
    return undefined;
  }
}

module.exports = { activate };
