/** Finds a Chromium or Chrome, or installs one through the system's package manager where that is allowed. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { runCommand } from '../run-command.mjs';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const folders = ['/usr/bin', '/usr/local/bin', '/opt/google/chrome', '/snap/bin'];
const applications = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/** What every Chromium of ours is started with: nothing that asks or phones home, and WebGPU also in software. */
export const chromiumArguments = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--enable-unsafe-webgpu',
];

/** @returns {string | undefined} path of the executable; CHROME_PATH comes first */
function findChromium() {
  const wanted = process.env.CHROME_PATH;
  if (wanted) {
    if (existsSync(wanted)) return wanted;
    throw new Error(`CHROME_PATH is "${wanted}", but there is no such file. Correct it or unset it.`);
  }
  const onPath = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean);
  const candidates = [...folders, ...onPath].flatMap((folder) => names.map((name) => path.join(folder, name)));
  return [...candidates, ...applications].find((file) => existsSync(file));
}

/**
 * @param {(detail: string) => void} [report]
 * @returns {Promise<string>}
 */
export async function ensureChromium(report = () => {}) {
  const found = findChromium();
  if (found) return found;
  const remedy = 'Install Chromium or Google Chrome, or set CHROME_PATH to the executable.';
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get'))
    throw new Error(`There is no Chromium here, and installing one needs root and apt-get. ${remedy}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    report('package lists');
    await runCommand('apt-get', ['update'], { env });
    report('Chromium');
    const wanted = ['chromium', 'fonts-dejavu-core'];
    await runCommand('apt-get', ['install', '-y', '--no-install-recommends', ...wanted], { env });
  } catch (error) {
    throw new Error(`Chromium could not be installed. ${remedy}\n${error instanceof Error ? error.message : error}`);
  }
  const installed = findChromium();
  if (!installed) throw new Error(`Chromium was installed, but is not found. ${remedy}`);
  return installed;
}
