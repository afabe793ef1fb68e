import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Prompt, readPrompts } from '../../../bench/decode/prompts.mjs';
import { readPass } from '../../../bench/decode/read-pass.mjs';
import { TextCodec } from '../../../webview/engine/text/text-codec.ts';

const folder = new URL('../../../media/models/SmolLM2-135M-Instruct/', import.meta.url);
const fileOf = (name: string) => fileURLToPath(new URL(name, folder));

describe('prompts', () => {
  let prompts: (count: number, salt: number) => Prompt;
  let codec: TextCodec;
  beforeAll(async () => {
    const readJson = async (name: string) => JSON.parse(await readFile(fileOf(name), 'utf8'));
    prompts = await readPrompts(fileOf('tokenizer.json'));
    codec = new TextCodec({
      tokenizer: await readJson('tokenizer.json'),
      tokenizerConfig: await readJson('tokenizer_config.json'),
    });
  });

  it.each([
    [64, 1],
    [256, 40],
    [1024, 9001],
  ])('of %i tokens are cut by the tokenizer into just those', (count, salt) => {
    const { ids, text } = prompts(count, salt);
    expect(ids).toHaveLength(count);
    expect(codec.encode({ kind: 'text', text }).tokens.map(({ id }) => id)).toEqual(ids);
  });

  it('of different salt have no beginning in common', () => {
    const firsts = Array.from({ length: 60 }, (_, salt) => prompts(1, salt).ids[0]);
    expect(new Set(firsts).size).toBe(firsts.length);
  });
});

describe('the pass over memory', () => {
  it.each([128, 4096, 65_536])('reads each of %i bytes once', async (sizeBytes) => {
    const { instance } = await WebAssembly.instantiate(readPass);
    const { memory, read } = instance.exports as unknown as { memory: WebAssembly.Memory; read(end: number): number };
    const words = new Uint32Array(memory.buffer, 0, sizeBytes / 4);
    for (const i of words.keys()) words[i] = Math.imul(i + 1, 2_654_435_761);
    const expected = words.reduce((sum, word) => sum ^ word, 0);
    expect(read(sizeBytes)).toBe(expected);
    words[words.length - 1]! ^= 0x55;
    expect(read(sizeBytes)).toBe(expected ^ 0x55);
  });
});
