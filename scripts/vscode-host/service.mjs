/** VS Code served on an address of this machine, with extensions and a workspace, ready for a browser. */
import { rmSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DriverLink } from './driver-link.mjs';
import { ensureHost, projectRoot } from './install.mjs';
import { startProxy } from './proxy.mjs';
import { startServer } from './server.mjs';

/** @typedef {'dark' | 'light' | 'hc-dark' | 'hc-light'} Theme */

/** Our names of the themes -> VS Code's. */
export const themes = {
  dark: 'Dark Modern',
  light: 'Light Modern',
  'hc-dark': 'Default High Contrast',
  'hc-light': 'Default High Contrast Light',
};

/** A window that shows the extension and nothing else that moves, asks or phones home. */
export const calmSettings = {
  'chat.disableAIFeatures': true,
  'extensions.autoCheckUpdates': false,
  'files.autoSave': 'off',
  'git.enabled': false,
  'remote.autoForwardPorts': false,
  'security.workspace.trust.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.showReleaseNotes': false,
  'workbench.enableExperiments': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
};

/**
 * @typedef {object} ServiceOptions
 * @property {string} [workspace] folder to open a copy of; default: test/fixtures/workspace
 * @property {string} [folder] to open as it is, instead of a copy
 * @property {Record<string, unknown>} [settings] of the user, over ours
 * @property {Theme} [theme] default: dark
 * @property {readonly string[]} [extensions] folders and .vsix files; default: this project
 * @property {boolean} [isIsolated] cross-origin isolated webviews, with SharedArrayBuffer; default: false
 * @property {number} [preferredPort] to serve on when it is free
 * @property {(detail: string) => void} [report] is told what is going on
 */

/**
 * @typedef {object} Service
 * @property {string} url of the window
 * @property {string} workspace folder that is open
 * @property {string} directory temporary, deleted by `close`
 * @property {DriverLink} link to the extension host of the newest window
 * @property {() => string} log what the server printed last
 * @property {(cleanup: () => unknown) => void} onClose is called before the service itself ends
 * @property {() => Promise<void>} close
 */

/**
 * @param {ServiceOptions} [options]
 * @returns {Promise<Service>}
 */
export async function openService(options = {}) {
  const { report = () => {}, extensions = [projectRoot], theme = 'dark', isIsolated = false, preferredPort } = options;
  const host = await ensureHost(report);
  const directory = await mkdtemp(path.join(os.tmpdir(), 'glasshead-host-'));
  /** @type {(() => unknown)[]} */
  const cleanups = [];
  const removeNow = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  process.once('exit', removeNow);
  cleanups.push(() => {
    process.off('exit', removeNow);
    return rm(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse())
      try {
        await cleanup();
      } catch {} // the rest must end too
  };
  try {
    const workspace = options.folder ? path.resolve(options.folder) : path.join(directory, 'workspace');
    const template = options.workspace ?? path.join(projectRoot, 'test/fixtures/workspace');
    if (options.folder === undefined) {
      await mkdir(workspace);
      await cp(template, workspace, { recursive: true });
    }
    const link = new DriverLink();
    const env = await link.listen();
    cleanups.push(() => link.close());
    report('VS Code server');
    const server = await startServer({
      host,
      directory,
      settings: { ...calmSettings, 'workbench.colorTheme': themes[theme], ...options.settings },
      packages: extensions.filter((file) => file.endsWith('.vsix')),
      env,
    });
    cleanups.push(() => server.close());
    link.setServerGroup(server.group);
    const folders = extensions.filter((file) => !file.endsWith('.vsix')).map((folder) => path.resolve(folder));
    const developmentExtensions = [...folders, fileURLToPath(new URL('driver', import.meta.url))];
    const proxy = await startProxy({ port: server.port, developmentExtensions, isIsolated, preferredPort });
    cleanups.push(() => proxy.close());
    const url = `${proxy.origin}/?folder=${encodeURIComponent(workspace)}`;
    return { url, workspace, directory, link, log: server.log, onClose: (cleanup) => cleanups.push(cleanup), close };
  } catch (error) {
    await close();
    throw error;
  }
}
