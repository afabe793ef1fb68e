/** Inputs and attention of the fixtures' cases, as PyTorch computed them. */
import { readFileSync } from 'node:fs';

interface TruthTensor {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
}

interface Attention {
  readonly tensor: string;
  readonly kind: 'self' | 'encoder' | 'decoder' | 'cross';
  readonly layer: number;
}

export interface Truth {
  readonly tolerance: number;
  readonly attentions: readonly Attention[];
  tensor(name: string): TruthTensor;
}

interface Meta {
  readonly tolerance: { readonly attention: number };
  readonly cases: readonly { readonly file: string; readonly attentions: readonly Attention[] }[];
}

/** Of the cases of one batch without padding: those of `reference.safetensors`. */
export function readTruth(fixture: string): Truth {
  const home = `test/fixtures/attention/${fixture}`;
  const meta = JSON.parse(readFileSync(`${home}/meta.json`, 'utf8')) as Meta;
  const tensors = readSafetensors(readFileSync(`${home}/reference.safetensors`));
  return {
    tolerance: meta.tolerance.attention,
    attentions: meta.cases.flatMap(({ file, attentions }) => (file === 'reference.safetensors' ? attentions : [])),
    tensor: (name) => {
      const found = tensors.get(name);
      if (!found) throw new Error(`${fixture} has no tensor ${name}.`);
      return found;
    },
  };
}

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

/** https://github.com/huggingface/safetensors: a length, a JSON header, the data. */
function readSafetensors(file: Uint8Array): Map<string, TruthTensor> {
  const bytes = new Uint8Array(file);
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start))) as Header;
  const tensors = new Map<string, TruthTensor>();
  for (const [name, { dtype, shape, data_offsets: range }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { buffer } = bytes.slice(start + range[0], start + range[1]);
    if (dtype === 'F32') tensors.set(name, { dims: shape, data: new Float32Array(buffer) });
    if (dtype === 'I64') tensors.set(name, { dims: shape, data: Array.from(new BigInt64Array(buffer), Number) });
  }
  return tensors;
}
