/** What the catalogue says of the bundled models is what lies in media/models. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import manifest from '../../../package.json' with { type: 'json' };
import { bundledModels } from '../../../src/models/bundled-models.ts';
import { chunkBytes } from '../../../src/shared/engine-contract.ts';

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
const root = path.resolve('media/models');

test('every bundled model is in the catalogue', () => {
  const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(bundledModels.map(({ id }) => id).toSorted()).toEqual(folders.map(({ name }) => name).toSorted());
});

test.each(bundledModels)('$id: size and SHA-256 of every file, license beside them', ({ id, files, license }) => {
  const folder = path.join(root, id);
  const onDisk = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'));
  expect(files.map((file) => file.path).toSorted()).toEqual(onDisk.filter((name) => name !== 'LICENSE').toSorted());
  expect(onDisk).toContain('LICENSE');
  expect(license).toBe('Apache-2.0');
  for (const file of files) {
    const bytes = readFileSync(path.join(folder, file.path));
    expect([file.path, bytes.length]).toEqual([file.path, file.sizeBytes]);
    expect([file.path, hashOf(bytes).toString('hex')]).toEqual([file.path, file.sha256]);
    const chunks = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, i) =>
      hashOf(bytes.subarray(i * chunkBytes, (i + 1) * chunkBytes)),
    );
    const ofChunks = chunks.length === 1 ? undefined : hashOf(Buffer.concat(chunks)).toString('hex');
    expect([file.path, file.chunksSha256]).toEqual([file.path, ofChunks]);
  }
});

test('the default of the setting is a bundled model that generates', () => {
  const { default: id } = manifest.contributes.configuration.properties['glasshead.model'];
  expect(bundledModels.find((model) => model.id === id)?.role).toBe('generate');
});
