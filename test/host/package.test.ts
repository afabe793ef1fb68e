/** The package: it holds what is listed and nothing else, and works when it is installed, without this project. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { runCommand } from '../../scripts/run-command.mjs';
import { openHost } from '../../scripts/vscode-host/host.mjs';
import { readZipEntries } from './support/zip-entries.ts';

const extensionId = `${manifest.publisher}.${manifest.name}`;
let directory: string;
let file: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'glasshead-package-'));
  file = path.join(directory, 'glasshead.vsix');
  await runCommand('node_modules/.bin/vsce', ['package', '--no-dependencies', '--out', file]);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('holds the files of test/fixtures/package-files.txt', async () => {
  const expected = (await readFile('test/fixtures/package-files.txt', 'utf8')).trim().split('\n');
  const entries = await readZipEntries(file);
  console.log(`size of the package: ${((await stat(file)).size / 1e6).toFixed(1)} MB`);
  expect(entries.map(({ name }) => name).sort()).toEqual(expected.sort());
  expect(entries.filter(({ sizeBytes }) => sizeBytes === 0)).toEqual([]);
});

test('activates, opens its pages and answers when installed', async () => {
  const host = await openHost({ extensions: [file], theme: 'dark' });
  try {
    const find = () =>
      host.evaluate((vscode, id) => {
        const extension = vscode.extensions.getExtension(id);
        return { isActive: extension?.isActive, folder: extension?.extensionPath };
      }, extensionId);
    await expect.poll(async () => (await find()).isActive, { timeout: 30_000 }).toBe(true);
    expect((await find()).folder).toContain(path.join(host.directory, 'extensions'));
    const smoke = path.resolve('test/desktop/smoke.cjs');
    const passed = await host.evaluate((_vscode, module) => require(module).run(), smoke);
    expect(passed).toEqual(['the extension activates', 'the playground opens', 'a prompt is answered']);
  } finally {
    await host.close();
  }
}, 300_000);
