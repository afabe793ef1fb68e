/** Node's end of the driver extension: evaluates functions in the extension host, also after it was restarted. */
import { randomUUID } from 'node:crypto';
import net from 'node:net';

/**
 * @typedef {object} Pending
 * @property {(value: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {((event: any) => void) | undefined} onEvent
 */

export class DriverLink {
  #server = net.createServer((socket) => this.#accept(socket));
  #token = randomUUID();
  /** @type {net.Socket | undefined} */
  #socket;
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  /** @type {(() => void)[]} */
  #waiting = [];
  #nextId = 1;
  #serverGroup = 0;

  /** @returns {Promise<Record<string, string>>} environment for the VS Code server */
  async listen() {
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', () => resolve(undefined));
    });
    const { port } = /** @type {net.AddressInfo} */ (this.#server.address());
    return { GLASSHEAD_DRIVER_PORT: String(port), GLASSHEAD_DRIVER_TOKEN: this.#token };
  }

  /** @param {number} group the server's process group, which the driver ends when this process dies */
  setServerGroup(group) {
    this.#serverGroup = group;
  }

  /** Resolves when an extension host is connected; with `isNew`, when the next one is. */
  connected(isNew = false) {
    if (this.#socket && !isNew) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(() => resolve(undefined)));
  }

  /**
   * @param {string} source of a function (vscode, argument, emit) => JSON
   * @param {unknown} argument
   * @param {(event: any) => void} [onEvent] gets what the function emits
   * @returns {Promise<any>}
   */
  async evaluate(source, argument, onEvent) {
    await this.connected();
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onEvent });
      this.#socket?.write(`${JSON.stringify({ id, source, argument })}\n`);
    });
  }

  close() {
    // First told, so that the driver does not take it for our death.
    this.#socket?.end(`${JSON.stringify({ serverGroup: 0 })}\n`);
    this.#server.close();
  }

  /** @param {net.Socket} socket */
  #accept(socket) {
    socket.setNoDelay(true);
    socket.setEncoding('utf8');
    let rest = '';
    socket.on('data', (text) => {
      const lines = `${rest}${text}`.split('\n');
      rest = String(lines.pop());
      for (const line of lines) this.#receive(socket, JSON.parse(line));
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#socket === socket) this.#lose();
    });
  }

  #lose() {
    this.#socket = undefined;
    for (const { reject } of this.#pending.values()) reject(new Error('The extension host went away.'));
    this.#pending.clear();
  }

  /**
   * @param {net.Socket} socket
   * @param {{token?: string, id?: number, event?: unknown, value?: unknown, error?: any}} message
   */
  #receive(socket, message) {
    if (message.token !== undefined) {
      if (message.token !== this.#token) return void socket.destroy();
      if (this.#socket) this.#lose();
      this.#socket = socket;
      socket.write(`${JSON.stringify({ serverGroup: this.#serverGroup })}\n`);
      for (const resolve of this.#waiting.splice(0)) resolve();
      return;
    }
    const pending = this.#pending.get(message.id ?? 0);
    if (!pending || socket !== this.#socket) return;
    if ('event' in message) return void pending.onEvent?.(message.event);
    this.#pending.delete(message.id ?? 0);
    if (!message.error) return void pending.resolve(message.value);
    const error = Object.assign(new Error(message.error.message), { code: message.error.code });
    error.stack = `${error.stack}\nin the extension host:\n${message.error.stack}`;
    pending.reject(error);
  }
}
