/** Model files that are missing, truncated, altered or no model: the file is named, and Reload works once it is mended. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBrowserEngine } from '../../scripts/browser-engine/browser-engine.mjs';

/** Generous: a slow machine is no failure. */
const soon = { timeout: 30_000 };

let engine: Awaited<ReturnType<typeof openBrowserEngine>>;
beforeAll(async () => {
  engine = await openBrowserEngine();
});
afterAll(() => engine?.close());

const graph = 'onnx/model_q4.onnx';
const cut = (bytes: Buffer) => bytes.subarray(0, Math.floor(bytes.length / 2));
const flipBit = (bytes: Buffer) => {
  const copy = Buffer.from(bytes);
  const at = Math.floor(copy.length / 2);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
};

describe('a bundled model', () => {
  test.each([
    { file: 'config.json', fault: 'missing', alter: null, says: 'is missing' },
    { file: 'generation_config.json', fault: 'truncated', alter: cut, says: 'is truncated: 50 of 101 bytes' },
    { file: 'config.json', fault: 'empty', alter: () => '', says: 'is truncated: 0 of 1,014 bytes' },
    { file: 'config.json', fault: 'altered', alter: flipBit, says: 'has been altered' },
    { file: 'config.json', fault: 'too long', alter: (bytes: Buffer) => `${bytes}\n`, says: 'is longer than' },
    { file: graph, fault: 'altered', alter: flipBit, says: 'has been altered' },
    { file: `${graph}_data`, fault: 'missing', alter: null, says: 'is missing' },
    { file: `${graph}_data`, fault: 'truncated', alter: cut, says: 'is truncated: 49,336,960 of 98,673,920 bytes' },
  ])('$file $fault', async ({ file, alter, says }) => {
    await engine.alterFile(file, alter);
    const message = expect.stringMatching(new RegExp(`^The model file ${file} ${says}.*reload`));
    await expect(engine.load()).rejects.toMatchObject({ code: 'model-damaged', message });
    await engine.alterFile(file);
    expect(await engine.state()).toMatchObject({ kind: 'failed', error: { code: 'model-damaged', message } });
  });
});

describe('a folder of the user, whose files nobody vouches for', () => {
  test.each([
    { file: 'config.json', what: 'broken JSON', alter: (bytes: Buffer) => cut(bytes) },
    { file: 'config.json', what: 'no object', alter: () => '[]' },
    { file: 'tokenizer.json', what: 'broken JSON', alter: (bytes: Buffer) => cut(bytes) },
    { file: graph, what: 'no ONNX', alter: () => 'This is not the file you are looking for.' },
    { file: graph, what: 'empty', alter: () => '' },
    { file: `${graph}_data`, what: 'too short', alter: () => 'short' },
  ])('$file: $what', async ({ file, alter }) => {
    await engine.alterFile(file, alter);
    const files = engine.describeLoad().files.map(({ path, url }) => ({ path, url }));
    const outcome = await engine.load({ files }).then(
      () => 'loaded',
      ({ code, message }) => ({ code, message }),
    );
    await engine.alterFile(file);
    const name = file.slice(file.lastIndexOf('/') + 1);
    expect(outcome).toMatchObject({ code: 'model-damaged', message: expect.stringContaining(name) });
  });
});

test('the view names the file, and its button loads the model once the file is back', async () => {
  await engine.alterFile('tokenizer_config.json', null);
  await expect(engine.load()).rejects.toMatchObject({ code: 'model-damaged' });
  await expect
    .poll(() => engine.page.getByRole('alert').innerText(), soon)
    .toContain('tokenizer_config.json is missing');
  await engine.alterFile('tokenizer_config.json');
  await engine.page.getByRole('button', { name: 'Reload' }).click();
  await expect.poll(() => engine.page.getByRole('status').innerText(), { timeout: 120_000 }).toBe('Ready');
});
