/**
 * `npm run verify:attention -- FOLDER… [--runtime ort|simd|webgpu|auto] [--json]`
 *
 * Holds the attention that the engine reads out of graphs to the truth in folders of the format of
 * test/fixtures/attention, in a real browser. A folder without a meta.json stands for the folders in it. Prints one line a
 * folder and, last, `folders N/M cases N/M worst …`, without those that the runtime does not take. Exits with 0 when all is right, with 1 when something is not, with 2
 * when it could not be found out.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openCheckPage } from './attention-check/check-page.mjs';

/** @typedef {import('./attention-check/check-folder.ts').FolderReport} FolderReport */

/** `auto` is what reads any graph. @type {Record<string, 'ort' | 'simd' | 'webgpu'>} */
const runtimes = { ort: 'ort', simd: 'simd', webgpu: 'webgpu', auto: 'ort' };

async function main() {
  const { folders, runtime, isJson } = readArguments();
  const page = await openCheckPage({ runtime, folders });
  /** @type {FolderReport[]} */
  const reports = [];
  try {
    for (const folder of folders) {
      const report = await page.check(folder);
      reports.push(report);
      if (!isJson) console.log(lineOf(report));
    }
  } finally {
    await page.close();
  }
  const checked = reports.filter(({ skipped }) => !skipped);
  const cases = checked.flatMap((report) => report.cases);
  const right = checked.filter(isRight).length;
  const worst = Math.max(0, ...cases.map(({ attention }) => attention));
  const rightCases = cases.filter(({ failures }) => failures.length === 0).length;
  if (isJson)
    console.log(
      JSON.stringify({
        runtime,
        folders: { right, all: checked.length },
        cases: { right: rightCases, all: cases.length },
        worst,
        reports,
      }),
    );
  console.log(`folders ${right}/${checked.length} cases ${rightCases}/${cases.length} worst ${worst.toExponential(1)}`);
  return right === checked.length && checked.length > 0;
}

/** @param {FolderReport} report */
function isRight({ cases }) {
  return cases.length > 0 && cases.every(({ failures }) => failures.length === 0);
}

/** @param {FolderReport} report */
function lineOf(report) {
  const { name, cases, skipped } = report;
  if (skipped) return `${name}: skipped: ${skipped}`;
  const largest = (/** @type {'attention' | 'outputs' | 'taps'} */ what) =>
    Math.max(...cases.map((each) => each[what])).toExponential(1);
  const wrong = cases.flatMap(({ name: own, failures }) => failures.map((failure) => `${own}: ${failure}`));
  const verdict = isRight(report)
    ? 'right'
    : `WRONG ${wrong.slice(0, 4).join('; ')}${wrong.length > 4 ? `; and ${wrong.length - 4} more` : ''}`;
  return `${name}: ${cases.length} cases, attention ${largest('attention')}, outputs ${largest('outputs')}, taps ${largest('taps')}: ${verdict}`;
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { runtime: { type: 'string', default: 'ort' }, json: { type: 'boolean', default: false } },
  });
  if (positionals.length === 0) throw new Error('Name folders: npm run verify:attention -- test/fixtures/attention');
  const runtime = runtimes[values.runtime];
  if (!runtime)
    throw new Error(`There is no runtime "${values.runtime}". Choose one of ${Object.keys(runtimes).join(', ')}.`);
  return { folders: positionals.flatMap(foldersIn), runtime, isJson: values.json };
}

/** @param {string} given */
function foldersIn(given) {
  const folder = path.resolve(given);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new Error(`There is no folder ${given}.`);
  if (existsSync(path.join(folder, 'meta.json'))) return [folder];
  const inside = readdirSync(folder)
    .sort()
    .map((name) => path.join(folder, name))
    .filter((each) => existsSync(path.join(each, 'meta.json')));
  if (inside.length === 0) throw new Error(`Neither ${given} nor a folder in it has a meta.json.`);
  return inside;
}

main().then(
  (isAllRight) => process.exit(isAllRight ? 0 : 1),
  (error) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  },
);
