/** An installed desktop VS Code, started with a profile of its own so that nobody's settings are touched. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DriverLink } from './driver-link.mjs';
import { projectRoot } from './install.mjs';
import { calmSettings, themes } from './service.mjs';

const names = process.platform === 'win32' ? ['code.cmd', 'codium.cmd'] : ['code', 'code-insiders', 'codium'];
const applications = ['/Applications/Visual Studio Code.app/Contents/Resources/app/bin/code'];

/** @returns {string | undefined} the command that opens it; undefined also where nothing can be shown */
export function findDesktop() {
  // In VS Code's own terminal on a remote machine "code" only talks to the window that it came from.
  if (process.env.VSCODE_IPC_HOOK_CLI || !hasDisplay()) return undefined;
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean);
  const onPath = folders.flatMap((folder) => names.map((name) => path.join(folder, name)));
  return [...onPath, ...applications].find((file) => existsSync(file));
}

export function hasDisplay() {
  return process.platform !== 'linux' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
}

/**
 * @param {string} command of `findDesktop`
 * @param {{theme: import('./service.mjs').Theme, folder?: string | undefined}} options
 * @returns {Promise<{link: DriverLink, closed: Promise<void>, close: () => Promise<void>}>}
 */
export async function openDesktop(command, { theme, folder }) {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'glasshead-desktop-'));
  const userData = path.join(directory, 'data');
  await mkdir(path.join(userData, 'User'), { recursive: true });
  const settings = { ...calmSettings, 'workbench.colorTheme': themes[theme] };
  await writeFile(path.join(userData, 'User', 'settings.json'), JSON.stringify(settings));
  const workspace = folder ? path.resolve(folder) : path.join(directory, 'workspace');
  if (!folder) await cp(path.join(projectRoot, 'test/fixtures/workspace'), workspace, { recursive: true });
  const link = new DriverLink();
  const env = await link.listen();
  const child = spawn(
    command,
    [
      ...['--wait', '--new-window', '--user-data-dir', userData],
      ...['--extensions-dir', path.join(directory, 'extensions'), '--disable-workspace-trust'],
      `--extensionDevelopmentPath=${projectRoot}`,
      `--extensionDevelopmentPath=${fileURLToPath(new URL('driver', import.meta.url))}`,
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      workspace,
    ],
    { env: { ...process.env, ...env }, stdio: 'inherit', shell: command.endsWith('.cmd') },
  );
  /** @type {Promise<void>} */
  const closed = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  const close = async () => {
    child.kill();
    link.close();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 }).catch(() => {});
  };
  return { link, closed, close };
}
