/** Tiny models with what PyTorch computes for them: `test/fixtures/attention`, of which each folder has a `meta.json`. */
import { readdirSync, readFileSync } from 'node:fs';

interface FixtureTensor {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
}

interface FixtureCase {
  readonly name: string;
  readonly inputIds: readonly number[];
  /** Tokens in the cache before. */
  readonly past: number;
  readonly logits: FixtureTensor;
  /** Per layer [1, head, query, key]. */
  readonly attentions: readonly FixtureTensor[];
}

export interface AttentionFixture {
  readonly name: string;
  readonly graph: Uint8Array<ArrayBuffer>;
  readonly layers: number;
  /** Of one sequence without padding. */
  readonly cases: readonly FixtureCase[];
}

const folder = new URL('../../fixtures/attention/', import.meta.url);

/** Decoders with a cache, that run one sequence at a time. */
export function attentionFixtures(): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && isDecoder(entry.name))
    .map(({ name }) => name)
    .sort();
}

function isDecoder(name: string): boolean {
  const { graphs, cases } = JSON.parse(readFileSync(new URL(`${name}/meta.json`, folder), 'utf8')) as Meta;
  const hasPast = graphs['model.onnx']?.inputs.some((input) => input.name.startsWith('past')) ?? false;
  return hasPast && cases[0]!.inputs.input_ids![0] === 1;
}

interface Meta {
  readonly graphs: Record<string, { readonly inputs: readonly { readonly name: string }[] }>;
  readonly traits: { readonly layers: number };
  readonly cases: readonly {
    readonly name: string;
    readonly file: string;
    readonly inputs: Record<string, readonly number[]>;
    readonly feeds: Record<string, string>;
    readonly outputs: Record<string, { readonly tensor: string }>;
    readonly attentions: readonly { readonly tensor: string; readonly layer: number }[];
  }[];
}

export function readFixture(name: string): AttentionFixture {
  const home = new URL(`${name}/`, folder);
  const meta = JSON.parse(readFileSync(new URL('meta.json', home), 'utf8')) as Meta;
  const cases = meta.cases
    .filter((each) => !each.name.includes('padded'))
    .map((each): FixtureCase => {
      const tensors = readSafetensors(readFileSync(new URL(each.file, home)));
      const tensor = (key: string) => tensors.get(key)!;
      const inputIds = Array.from(tensor(each.feeds.input_ids!).data);
      const past = tensor(each.feeds.attention_mask!).dims[1]! - inputIds.length;
      return {
        name: each.name,
        inputIds,
        past,
        logits: tensor(each.outputs.logits!.tensor),
        attentions: each.attentions.map(({ tensor: key }) => tensor(key)),
      };
    });
  const graph = new Uint8Array(readFileSync(new URL('model.onnx', home)));
  return { name, graph, layers: meta.traits.layers, cases };
}

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

/** https://github.com/huggingface/safetensors: a length, a JSON header, the data. */
function readSafetensors(file: Uint8Array): Map<string, FixtureTensor> {
  const bytes = new Uint8Array(file);
  const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerLength))) as Header;
  const tensors = new Map<string, FixtureTensor>();
  for (const [name, { dtype, shape, data_offsets: range }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { buffer } = bytes.slice(8 + headerLength + range[0], 8 + headerLength + range[1]);
    if (dtype === 'F32') tensors.set(name, { dims: shape, data: new Float32Array(buffer) });
    if (dtype === 'I64') tensors.set(name, { dims: shape, data: Array.from(new BigInt64Array(buffer), Number) });
  }
  return tensors;
}
