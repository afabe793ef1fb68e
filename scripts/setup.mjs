/** What the scripts need before they can work, installed when it is missing. Uses only what Node brings. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { withProgress } from './progress.mjs';
import { runCommand } from './run-command.mjs';
import { ensureChromium } from './vscode-host/chromium.mjs';
import { ensureHost, projectRoot } from './vscode-host/install.mjs';

/** The packages of package-lock.json, exactly. */
export async function ensurePackages() {
  if (await hasPackages()) return;
  await withProgress('Installing the packages', () =>
    runCommand('npm', ['ci', '--no-audit', '--no-fund'], { cwd: projectRoot }),
  );
}

async function hasPackages() {
  /** @param {string} file @returns {Promise<Record<string, {version?: string, optional?: boolean}>>} */
  const read = async (file) => JSON.parse(await readFile(path.join(projectRoot, file), 'utf8')).packages;
  try {
    const [wanted, installed] = [await read('package-lock.json'), await read('node_modules/.package-lock.json')];
    return Object.entries(wanted).every(
      ([name, { version, optional }]) => name === '' || optional || installed[name]?.version === version,
    );
  } catch {
    return false;
  }
}

/** A VS Code that runs in Chromium, and Chromium. */
export async function ensureBrowserVscode() {
  await ensureVscodeServer();
  await withProgress('Installing Chromium', (report) => ensureChromium(report));
}

export async function ensureVscodeServer() {
  await withProgress('Installing VS Code for the browser', (report) => ensureHost(report));
}

export async function build() {
  await withProgress('Building', () => runCommand(process.execPath, ['esbuild.js'], { cwd: projectRoot }));
}

/**
 * Runs a script's main function; what it throws becomes one sentence and exit status 1.
 *
 * @param {() => Promise<number>} main returns the exit status
 */
export async function runMain(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
