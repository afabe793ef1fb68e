import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type CheckOptions, checkFolder, type TruthMeta } from '../../../scripts/attention-check/check-folder.ts';
import type { FileTensor } from '../../../scripts/attention-check/tensor-file.ts';
import { openSession, ortTensor } from '../support/tapped-run.ts';

const folder = new URL('../../fixtures/attention/mixtral-eager/', import.meta.url);
const read = async (file: string) => new Uint8Array(readFileSync(new URL(file, folder)));
const meta = JSON.parse(readFileSync(new URL('meta.json', folder), 'utf8')) as TruthMeta;

const options: CheckOptions = {
  read,
  open: async (graph) => {
    const session = await openSession(graph);
    return {
      run: async (feeds, names) => {
        const inputs = Object.fromEntries([...feeds].map(([name, feed]) => [name, ortTensor(feed)]));
        const results = await (names ? session.run(inputs, names) : session.run(inputs));
        return new Map(
          Object.entries(results).map(([name, { dims, type, data }]) => [
            name,
            { dims, type, data: data as Float32Array } as FileTensor,
          ]),
        );
      },
      release: () => session.release(),
    };
  },
};

async function failuresOf(changed: Partial<TruthMeta>, more: Partial<CheckOptions> = {}): Promise<string[]> {
  const { cases } = await checkFolder({ ...meta, ...changed }, { ...options, ...more });
  return cases.flatMap(({ failures }) => failures);
}

const [only] = meta.cases;

test('a folder that is right is said to be', async () => {
  expect(await failuresOf({})).toEqual([]);
});

test('an error above the tolerance is found, of attention and of outputs', async () => {
  const failures = await failuresOf({ tolerance: { outputs: 1e-12, attention: 1e-12 } });
  expect(failures).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^self 0 is off by/),
      expect.stringMatching(/^the output logits is off by/),
    ]),
  );
});

test('layers in the wrong order, missing ones and wrong head counts are found', async () => {
  const { attentions } = only!;
  const swapped = attentions.map((truth, i) => ({ ...truth, tensor: attentions.at(-1 - i)!.tensor }));
  expect(await failuresOf({ cases: [{ ...only!, attentions: swapped }] })).toContainEqual(
    expect.stringMatching(/is off by/),
  );
  expect(await failuresOf({ cases: [{ ...only!, attentions: attentions.slice(1) }] })).toContainEqual(
    expect.stringMatching(/layers of self attention, not/),
  );
  expect(await failuresOf({ traits: { kv_heads: 3 } })).toContainEqual(expect.stringMatching(/2 key heads, not 3/));
});

test('attention that is said to be cross and is not is missed', async () => {
  const attentions = only!.attentions.map((truth) => ({ ...truth, kind: 'cross' as const }));
  expect(await failuresOf({ cases: [{ ...only!, attentions }] })).toContainEqual(
    expect.stringMatching(/no cross attention in layer 0/),
  );
});

test('files that are missing or broken are named', async () => {
  const broken = async (file: string) => (file.endsWith('.safetensors') ? new Uint8Array(3) : read(file));
  expect(await failuresOf({}, { read: broken })).toEqual([
    expect.stringMatching(/reference.*\.safetensors is no safetensors file\./),
  ]);
  const feeds = { ...only!.feeds, input_ids: 'nothing' };
  expect(await failuresOf({ cases: [{ ...only!, feeds }] })).toEqual([
    expect.stringMatching(/lacks the tensor nothing/),
  ]);
});
