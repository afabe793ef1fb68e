/**
 * The VS Code that tests and `npm start` use where no desktop VS Code can run: code-server from npm, in a folder of its
 * own, so that the extension's packages never depend on it. The versions are pinned here and nowhere else.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../run-command.mjs';

const packages = { 'code-server': '4.139.1', [nodePackage()]: '24.21.0' };

export const projectRoot = fileURLToPath(new URL('../..', import.meta.url));

/**
 * @typedef {object} HostPaths
 * @property {string} node a Node that can run code-server (Node 20 cannot: it lacks `module.registerHooks`)
 * @property {string} entry code-server's entry module
 */

function nodePackage() {
  return `node-${process.platform}-${process.arch}`;
}

export function hostDirectory() {
  return path.resolve(process.env.GLASSHEAD_HOST_DIR || path.join(projectRoot, '.host'));
}

/** @returns {Promise<HostPaths | undefined>} undefined when it is not there, or not whole */
async function findHost() {
  const directory = hostDirectory();
  const installed = await readFile(path.join(directory, 'installed.json'), 'utf8').catch(() => '');
  if (installed !== JSON.stringify(packages)) return undefined;
  return {
    node: path.join(directory, 'node_modules', nodePackage(), 'bin', 'node'),
    entry: path.join(directory, 'node_modules', 'code-server', 'out', 'node', 'entry.js'),
  };
}

/**
 * About 800 MB and half a minute, once.
 *
 * @param {(detail: string) => void} [report]
 * @returns {Promise<HostPaths>}
 */
export async function ensureHost(report = () => {}) {
  const found = await findHost();
  if (found) return found;
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch))
    throw new Error('Install VS Code and put "code" on the PATH: the browser-based VS Code is set up on Linux only.');
  const directory = hostDirectory();
  await rm(path.join(directory, 'node_modules'), { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, 'package.json'), JSON.stringify({ private: true, dependencies: packages }));
  // Its install scripts would compile native modules that it can do without.
  const npm = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
  report('VS Code server, about 300 MB');
  await runCommand('npm', npm, { cwd: directory });
  const server = path.join(directory, 'node_modules', 'code-server', 'lib', 'vscode');
  report('its modules');
  await runCommand('npm', [...npm, '--omit=dev'], { cwd: server });
  report('its built-in extensions');
  await runCommand('npm', [...npm, '--omit=dev'], { cwd: path.join(server, 'extensions') });
  await writeFile(path.join(directory, 'installed.json'), JSON.stringify(packages));
  const host = await findHost();
  if (!host || !existsSync(host.node) || !existsSync(host.entry))
    throw new Error(`The VS Code server is not whole after its install. Delete ${directory} and try again.`);
  return host;
}
