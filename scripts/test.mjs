/**
 * `npm test`: installs what is missing, builds, runs all tests, and prints "N passed, N failed" last.
 *
 *     npm test -- unit browser           only these projects
 *     npm test -- host playground        only files whose path contains "playground"
 *     npm test -- --no-build unit        with dist/ as it is
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { countResults } from './count-results.mjs';
import { build, ensureBrowserVscode, ensurePackages, runMain } from './setup.mjs';
import { projectRoot } from './vscode-host/install.mjs';

const allProjects = ['unit', 'browser', 'host'];
const limitMinutes = 25;

runMain(async () => {
  const args = process.argv.slice(2);
  const named = allProjects.filter((project) => args.includes(project));
  const projects = named.length > 0 ? named : allProjects;
  const filters = args.filter((arg) => !arg.startsWith('--') && !allProjects.includes(arg));

  await ensurePackages();
  if (projects.some((project) => project !== 'unit')) await ensureBrowserVscode();
  if (!args.includes('--no-build')) await build();

  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const project of projects) {
    const counts = await runProject(project, filters);
    console.log(`${project}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
  }
  if (total.passed + total.failed === 0) {
    console.error(`No test matches ${filters.join(' ')}.`);
    total.failed++;
  }
  if (total.skipped > 0) console.log(`${total.skipped} skipped`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
});

/**
 * @param {string} project
 * @param {string[]} filters
 */
async function runProject(project, filters) {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'glasshead-test-'));
  const output = path.join(directory, 'results.json');
  const vitest = path.join(projectRoot, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${output}`];
  const more = filters.length > 0 ? ['--passWithNoTests'] : [];
  const child = spawn(process.execPath, [vitest, 'run', '--project', project, ...reporters, ...more, ...filters], {
    cwd: projectRoot,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const timer = setTimeout(() => {
    console.error(`The ${project} tests took more than ${limitMinutes} minutes and were ended.`);
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), 10_000).unref();
  }, limitMinutes * 60_000);
  const [status] = await once(child, 'close');
  clearTimeout(timer);
  const results = JSON.parse(await readFile(output, 'utf8').catch(() => '{}'));
  await rm(directory, { recursive: true, force: true });
  // A filter may leave a project without tests; all of them it may not.
  if (filters.length > 0 && status === 0 && !results.numTotalTests) return { passed: 0, failed: 0, skipped: 0 };
  const counts = countResults(results, status);
  if (counts.complaint) console.error(`The ${project} tests ${counts.complaint}: that counts as a failure.`);
  return counts;
}
