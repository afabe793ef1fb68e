/** One code-server process group, with folders of its own; ended as a group, since it forks a wrapper, a server, hosts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { runCommand } from '../run-command.mjs';

/**
 * @typedef {object} ServerOptions
 * @property {import('./install.mjs').HostPaths} host
 * @property {string} directory for user data, extensions and HOME
 * @property {object} settings of the user
 * @property {readonly string[]} packages .vsix files to install first
 * @property {Record<string, string>} env more environment, seen by the extension host
 */

/**
 * @param {ServerOptions} options
 * @returns {Promise<{port: number, group: number, log: () => string, close: () => Promise<void>}>}
 */
export async function startServer({ host, directory, settings, packages, env }) {
  const userData = path.join(directory, 'data');
  const home = path.join(directory, 'home');
  await mkdir(path.join(userData, 'User'), { recursive: true });
  await mkdir(home, { recursive: true });
  await writeFile(path.join(userData, 'User', 'settings.json'), JSON.stringify(settings, null, 2));
  const folders = ['--user-data-dir', userData, '--extensions-dir', path.join(directory, 'extensions')];
  /** @type {NodeJS.ProcessEnv} */
  const childEnv = { ...process.env, HOME: home, ...env };
  for (const name of ['PORT', 'NODE_OPTIONS', 'NODE_ENV', 'VITEST']) delete childEnv[name];
  for (const file of packages)
    await runCommand(host.node, [host.entry, ...folders, '--install-extension', file], { env: childEnv });

  const port = await freePort();
  const child = spawn(
    host.node,
    [
      host.entry,
      ...['--auth', 'none', '--bind-addr', `127.0.0.1:${port}`],
      ...['--disable-telemetry', '--disable-update-check', '--disable-workspace-trust'],
      ...['--disable-getting-started-override', '--disable-proxy'],
      ...folders,
    ],
    { env: childEnv, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      log = `${log}${text}`.slice(-100_000);
    });
  const group = /** @type {number} */ (child.pid);
  /** @param {NodeJS.Signals} signal */
  const kill = (signal) => {
    try {
      process.kill(-group, signal);
    } catch {} // gone already
  };
  const killNow = () => kill('SIGKILL');
  process.once('exit', killNow);
  const isGone = once(child, 'close');
  const close = async () => {
    kill('SIGTERM');
    const timer = setTimeout(killNow, 2000);
    await isGone;
    clearTimeout(timer);
    killNow(); // the group may outlive its leader
    process.off('exit', killNow);
  };
  try {
    await answers(port, () => child.exitCode !== null);
  } catch (error) {
    await close();
    throw new Error(`The VS Code server did not start:\n${log.slice(-2000)}`, { cause: error });
  }
  return { port, group, log: () => log, close };
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * @param {number} port
 * @param {() => boolean} hasEnded
 */
async function answers(port, hasEnded) {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline && !hasEnded(); ) {
    const isUp = await new Promise((resolve) => {
      const request = http.get({ host: '127.0.0.1', port, path: '/healthz' }, (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      });
      request.on('error', () => resolve(false));
    });
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('No answer.');
}
