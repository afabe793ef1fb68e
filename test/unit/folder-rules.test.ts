/**
 * The linter holds the folder rules of docs/architecture.md: one violation of each, planted in a temporary copy of the
 * sources, is refused with that rule's message, and the copy without them passes.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const projectRoot = fileURLToPath(new URL('../..', import.meta.url));

const shared = 'src/shared imports only src/shared and valibot: no vscode, no DOM, no Node.';
const platform = 'src/platform imports only src/shared and vscode.';
const engine = 'src/engine imports only src/shared, src/platform and vscode.';
const feature = 'A feature imports src/shared, src/platform, src/engine and vscode, never another feature.';
const root = 'The root of src builds the parts: it imports vscode and the folders of src.';
const kit = 'webview/ui imports only src/shared, lit, valibot and the toolkit.';
const page =
  'A page imports src/shared, webview/ui, lit and valibot: components come from webview/ui, only the engine runs models.';
const worker = 'webview/engine imports its own folder, src/shared and the libraries that run models.';
const tests = 'Nothing imports tests.';

/** [the folder of the violation, what it imports, the message it gets] */
const violations: readonly (readonly [folder: string, specifier: string, message: string])[] = [
  ['src/shared', 'vscode', shared],
  ['src/shared', 'node:fs', shared],
  ['src/shared', 'lit', shared],
  ['src/shared', '../platform/log.ts', shared],
  ['src/shared', '../engine/engine-client.ts', shared],
  ['src/shared/planted', '../../attention/register.ts', shared],
  ['src/platform', 'node:path', platform],
  ['src/platform', '../engine/engine-client.ts', platform],
  ['src/platform/planted', '../../prompts/register.ts', platform],
  ['src/engine', '../models/register.ts', engine],
  ['src/engine', '../prompts/register.ts', engine],
  ['src/engine', 'node:os', engine],
  ['src/engine/planted', '../../models/register.ts', engine],
  ...['models', 'prompts', 'completions', 'playground', 'attention'].flatMap((name, index, all) => {
    const other = all[(index + 1) % all.length];
    return [
      [`src/${name}`, `../${other}/register.ts`, feature],
      [`src/${name}/planted`, `../../${other}/register.ts`, feature],
      [`src/${name}`, 'node:fs', feature],
      [`src/${name}`, '../../webview/engine/decoder.ts', feature],
    ] as const;
  }),
  ['src/prompts', '../../test/host/activation.test.ts', feature],
  ['src', '../webview/engine/decoder.ts', root],
  ['src', 'node:fs', root],
  ['webview/ui', '../playground/main.ts', kit],
  ['webview/ui', '../../src/platform/log.ts', kit],
  ...['model', 'playground', 'attention'].flatMap(
    (name) =>
      [
        [`webview/${name}`, '@huggingface/transformers', page],
        [`webview/${name}`, 'onnxruntime-web', page],
        [`webview/${name}`, '../engine/decoder.ts', page],
        [`webview/${name}`, '@vscode/webview-ui-toolkit', page],
        [`webview/${name}`, '../../src/engine/engine-client.ts', page],
        [`webview/${name}/planted`, '../../engine/decoder.ts', page],
      ] as const,
  ),
  ['webview/playground', '../attention/main.ts', page],
  ['webview/playground', '@noble/hashes/sha2.js', page],
  ['webview/engine', 'lit', worker],
  ['webview/engine', 'vscode', worker],
  ['webview/engine', '../ui/port.ts', worker],
  ['webview/engine', '../../src/engine/engine-client.ts', worker],
  ['webview/engine/planted', '../../model/main.ts', worker],
  ['webview/engine/planted', '../../../src/platform/log.ts', worker],
  ['webview/engine/runtime/planted', '../../../model/main.ts', worker],
  ['webview/engine/runtime/planted', '../../../../src/platform/log.ts', worker],
  ['webview/engine/runtime/simd/planted', '../../../../model/main.ts', worker],
  ['webview/engine/runtime/simd/planted', '../../../../../src/platform/log.ts', worker],
  ['webview/engine', '../../test/unit/folder-rules.test.ts', worker],
  ['scripts', '../test/unit/folder-rules.test.ts', tests],
];

let copy: string;

beforeAll(() => {
  copy = mkdtempSync(path.join(os.tmpdir(), 'glasshead-rules-'));
  for (const name of ['src', 'webview', 'scripts', 'esbuild.js', '.gitignore'])
    cpSync(path.join(projectRoot, name), path.join(copy, name), { recursive: true });
  const configuration = JSON.parse(readFileSync(path.join(projectRoot, 'biome.json'), 'utf8'));
  delete configuration.$schema; // relative to node_modules, which the copy has not
  writeFileSync(path.join(copy, 'biome.json'), JSON.stringify(configuration));
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

interface Diagnostic {
  readonly file: string;
  readonly category: string;
  readonly message: string;
}

function lint(): Diagnostic[] {
  const rules = ['--only=style/noRestrictedImports', '--only=suspicious/noImportCycles'];
  const biome = path.join(projectRoot, 'node_modules/.bin/biome');
  const options = ['--reporter=json', '--max-diagnostics=none'];
  const { stdout, stderr } = spawnSync(biome, ['lint', ...rules, ...options, '.'], { cwd: copy, encoding: 'utf8' });
  expect(stdout, stderr).toContain('{');
  const report = JSON.parse(stdout.slice(stdout.indexOf('{')));
  expect(report.summary.unchanged, 'files that were checked').toBeGreaterThan(50);
  return report.diagnostics.map((diagnostic: { category: string; message: string; location: { path: string } }) => ({
    file: diagnostic.location.path,
    category: diagnostic.category,
    message: diagnostic.message,
  }));
}

test('the sources keep the rules', () => {
  expect(lint()).toEqual([]);
});

test('each planted violation is refused with its rule', () => {
  const expected = violations.map(([folder, specifier, message], index) => {
    const file = `${folder}/planted-${index}.${folder === 'scripts' ? 'mjs' : 'ts'}`;
    mkdirSync(path.join(copy, folder), { recursive: true });
    writeFileSync(path.join(copy, file), `import * as planted from '${specifier}';\nconsole.log(planted);\n`);
    return { file, category: 'lint/style/noRestrictedImports', message };
  });
  const found = lint().filter(({ category }) => category === 'lint/style/noRestrictedImports');
  const byFile = (a: Diagnostic, b: Diagnostic) => a.file.localeCompare(b.file);
  expect(found.sort(byFile)).toEqual(expected.sort(byFile));
});

test('a planted cycle is refused', () => {
  writeFileSync(path.join(copy, 'src/shared/planted-a.ts'), `import './planted-b.ts';\n`);
  writeFileSync(path.join(copy, 'src/shared/planted-b.ts'), `import './planted-a.ts';\n`);
  const files = lint()
    .filter(({ category }) => category === 'lint/suspicious/noImportCycles')
    .map(({ file }) => file);
  expect(files.sort()).toEqual(['src/shared/planted-a.ts', 'src/shared/planted-b.ts']);
});
