/**
 * `npm run test:desktop`: the smoke test in a desktop VS Code: the one that VSCODE_PATH names, or that is installed, or
 * else one that is downloaded. Needs a display, and the network for the download.
 */
import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { build, ensurePackages, runMain } from './setup.mjs';
import { findDesktop } from './vscode-host/desktop.mjs';
import { projectRoot } from './vscode-host/install.mjs';

runMain(async () => {
  await ensurePackages();
  await build();
  const { runTests } = await import('@vscode/test-electron');
  const vscodeExecutablePath = process.env.VSCODE_PATH ?? findExecutable();
  console.log(vscodeExecutablePath ? `VS Code: ${vscodeExecutablePath}` : 'VS Code: to be downloaded');
  await runTests({
    ...(vscodeExecutablePath ? { vscodeExecutablePath } : {}),
    extensionDevelopmentPath: projectRoot,
    extensionTestsPath: path.join(projectRoot, 'test/desktop/smoke.cjs'),
    launchArgs: [
      path.join(projectRoot, 'test/fixtures/workspace'),
      '--disable-extensions',
      '--disable-workspace-trust',
    ],
  });
  console.log('The desktop smoke test passed.');
  return 0;
});

/** The command on the PATH only passes messages on; the program itself stands beside it. */
function findExecutable() {
  const command = findDesktop();
  if (!command) return undefined;
  const folder = path.dirname(realpathSync(command));
  /** @type {Partial<Record<NodeJS.Platform, string[]>>} */
  const besides = {
    darwin: ['../../../MacOS/Electron', '../../../MacOS/Code'],
    win32: ['../Code.exe', '../VSCodium.exe'],
  };
  const candidates = besides[process.platform] ?? ['../code', '../code-insiders', '../codium'];
  return candidates.map((file) => path.join(folder, file)).find((file) => existsSync(file));
}
