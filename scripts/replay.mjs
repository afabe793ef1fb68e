/**
 * Completes recorded cursor positions through the extension's own path (context, healing, filter) with the real engine
 * in a headless Chromium, and compares each suggestion with the rest of the line.
 *
 *     npm run replay -- CASES.json [--limit N] [--context TOKENS] [--json]
 *
 * CASES.json is an array of `{lang, file, prefix, suffix, target}`: text before and after the cursor, and the rest of
 * the cursor's line. The last line printed is `exact E prefix P`, fractions of 1:
 * - exact: share of the cases whose suggestion, trimmed at the right end, is the target, trimmed likewise;
 * - prefix: share of the target's characters that the suggestion gets right before its first wrong one, averaged.
 * No suggestion counts as an empty one. `--json` prints a line of JSON for each case before it; progress goes to
 * stderr. `--dist` is a folder of built
 * bundles to use instead of building them. `--context` is the setting glasshead.completions.contextTokens, with its default.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build, ensurePackages, runMain } from './setup.mjs';
import { projectRoot } from './vscode-host/install.mjs';

runMain(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      limit: { type: 'string' },
      context: { type: 'string' },
      json: { type: 'boolean' },
      dist: { type: 'string' },
    },
  });
  const [file] = positionals;
  if (!file)
    throw new Error('Name a file of cases: npm run replay -- CASES.json [--limit N] [--context TOKENS] [--json]');
  await ensurePackages();
  if (!values.dist) await build();
  const { replay } = await import('./replay-cases.mjs'); // needs the packages
  /** @type {import('./replay-cases.mjs').Case[]} */
  const all = JSON.parse(await readFile(file, 'utf8'));
  const cases = all.slice(0, values.limit ? Number(values.limit) : undefined);
  const manifest = JSON.parse(await readFile(path.join(projectRoot, 'package.json'), 'utf8'));
  const setting = manifest.contributes.configuration.properties['glasshead.completions.contextTokens'];
  const contextTokens = values.context ? Number(values.context) : setting.default;
  const startedAt = performance.now();
  let hits = 0;
  const { exact, prefix } = await replay(cases, {
    contextTokens,
    ...(values.dist && { dist: path.resolve(values.dist) }),
    onOutcome: (outcome, index) => {
      hits += Number(outcome.exact);
      const seconds = Math.round((performance.now() - startedAt) / 1000);
      const said = outcome.reason ? `(${outcome.reason})` : JSON.stringify(outcome.suggestion);
      console.error(
        `${index + 1}/${cases.length}  ${hits} exact  ${seconds} s  ${said} for ${JSON.stringify(outcome.target)}`,
      );
      if (values.json) console.log(JSON.stringify(outcome));
    },
  });
  console.log(`exact ${exact.toFixed(4)} prefix ${prefix.toFixed(4)}`);
  return 0;
});
