/**
 * Writes THIRD-PARTY-NOTICES.md: what every package that ends up in a bundle asks to be told, and the models.
 *
 *     node scripts/notices.mjs
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { bundles, copies, options } = createRequire(import.meta.url)('../esbuild.js');

/**
 * @typedef {object} BundledPackage
 * @property {string} name
 * @property {string} version
 * @property {string} license SPDX
 * @property {string} url
 * @property {string} text of its licence file, or empty
 */

/**
 * The packages of which some code or file is shipped, by name.
 *
 * @returns {Promise<BundledPackage[]>}
 */
export async function findBundledPackages() {
  /** @type {Set<string>} */
  const folders = new Set(
    copies.map((/** @type {[string, string]} */ [from]) => packageFolder(`node_modules/${from}`)),
  );
  for (const bundle of bundles) {
    const { metafile } = await build({ ...options(bundle), absWorkingDir: root, write: false, logLevel: 'silent' });
    for (const output of Object.values(metafile?.outputs ?? {}))
      for (const [file, { bytesInOutput }] of Object.entries(output.inputs))
        if (bytesInOutput > 0 && file.includes('node_modules/')) folders.add(packageFolder(file));
  }
  return [...folders].map(describePackage).sort((a, b) => a.name.localeCompare(b.name));
}

/** @param {string} file */
function packageFolder(file) {
  const start = file.lastIndexOf('node_modules/') + 'node_modules/'.length;
  const [scope, name] = file.slice(start).split('/');
  return file.slice(0, start) + (scope?.startsWith('@') ? `${scope}/${name}` : scope);
}

/**
 * @param {string} folder
 * @returns {BundledPackage}
 */
function describePackage(folder) {
  const directory = path.join(root, folder);
  const manifest = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8'));
  const license = readdirSync(directory).find((file) => /^(licen[cs]e|copying)/i.test(file));
  const repository = manifest.repository?.url ?? manifest.repository ?? manifest.homepage ?? '';
  return {
    name: manifest.name,
    version: manifest.version,
    license: manifest.license ?? 'see its text',
    url: String(repository)
      .replace(/^git\+/, '')
      .replace(/^git:/, 'https:')
      .replace(/\.git$/, ''),
    text: license
      ? readFileSync(path.join(directory, license), 'utf8').replaceAll('\r', '').trim()
      : standIn(directory),
  };
}

/**
 * The licence of a package that ships no file of it: the header of its sources, or MIT in the name of its maker.
 *
 * @param {string} directory
 */
function standIn(directory) {
  if (directory.endsWith('@bufbuild/protobuf')) {
    const source = readFileSync(path.join(directory, 'dist/esm/wire/varint.js'), 'utf8');
    const header = source.match(/^(?:\/\/.*\n)+/)?.[0].replace(/^\/\/ ?/gm, '') ?? '';
    return `Copyright Buf Technologies, Inc. Apache License 2.0; its text is in LICENSE.\n\n${header.trim()}`;
  }
  const maker = /fast-|onnxruntime/.test(directory) ? 'Microsoft Corporation' : undefined;
  return maker === undefined ? '' : mit.replace('MAKER', maker);
}

const mit = `MIT License

Copyright (c) MAKER. All rights reserved.

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.`;

/** @param {BundledPackage} bundled */
export function heading({ name, version }) {
  return `### ${name} ${version}`;
}

const models = `## Models

### SmolLM2-135M-Instruct

By Hugging Face, <https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct>. Apache License 2.0; the text is beside the
model, in \`media/models/SmolLM2-135M-Instruct/LICENSE\`.

Changed here: converted to ONNX from the 4-bit GGUF file \`SmolLM2-135M-Instruct.Q4_1.gguf\`. Every weight keeps the exact
value of that file. Linear layers are \`MatMulNBits\` with 4 bits, blocks of 32 and float zero points; the embedding, which
is the output layer too, has 8 bits. The rows of the query and key projections are put back into the order of the
original, and the tokenizer has its digit splitting back, which the GGUF conversion had lost.

### all-MiniLM-L6-v2

By the Sentence Transformers project, <https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2>. Apache License 2.0;
the text is beside the model, in \`media/models/all-MiniLM-L6-v2/LICENSE\`. Only in the source, for tests: the packed
extension does not hold it.

Changed here: nothing; ONNX with 8-bit weights, as published by others.
`;

const alsoInside = `## Inside ONNX Runtime Web

\`dist/webview/ort.wasm\` is compiled from ONNX Runtime and holds parts of the libraries that it names in
<https://github.com/microsoft/onnxruntime/blob/main/ThirdPartyNotices.txt>.
`;

async function main() {
  const packages = await findBundledPackages();
  const sections = packages.map((bundled) => {
    const { license, url, text } = bundled;
    if (text === '') throw new Error(`${bundled.name} has no licence file: say in standIn() what it asks for.`);
    const body = `\`\`\`text\n${text}\n\`\`\``;
    return `${heading(bundled)}\n\n${license}, <${url}>\n\n${body}\n`;
  });
  const intro = `# Third-party notices

Glasshead itself is under the Apache License 2.0 (\`LICENSE\`). What it ships of others is listed here; this file is
written by \`node scripts/notices.mjs\`, and a test fails when a shipped package is not in it.
`;
  const parts = [intro, '## Packages\n', ...sections, alsoInside, models];
  writeFileSync(path.join(root, 'THIRD-PARTY-NOTICES.md'), parts.join('\n'));
  console.log(packages.map(({ name, version, license }) => `${name} ${version}  ${license}`).join('\n'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
