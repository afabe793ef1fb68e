/** Holds the attention of the SIMD runtime to the same folders: those decoders that it runs, one sequence at a time. */
import { AppError } from '../../src/shared/app-error.ts';
import type { LayerTap } from '../../webview/engine/decoder.ts';
import { readModel } from '../../webview/engine/graph/onnx-model.ts';
import { forEachRow } from '../../webview/engine/inspect/attention-rows.ts';
import { compileDecoder } from '../../webview/engine/runtime/simd/compile/compile-graph.ts';
import { openSimdDecoder } from '../../webview/engine/runtime/simd/open-simd-decoder.ts';
import type { SimdDecoder } from '../../webview/engine/runtime/simd/simd-decoder.ts';
import {
  type CaseReport,
  difference,
  type FolderReport,
  numberAt,
  type TruthCase,
  type TruthMeta,
} from './check-folder.ts';
import { type FileTensor, readTensors } from './tensor-file.ts';

export interface SimdCheckOptions {
  readonly read: (file: string) => Promise<Uint8Array<ArrayBuffer>>;
  /** The plain build of the kernels. */
  readonly kernels: BufferSource;
}

type Tensors = ReadonlyMap<string, FileTensor>;

/** `skipped` says why a folder, or each of its cases, is not for this runtime. */
export async function checkSimdFolder(meta: TruthMeta, { read, kernels }: SimdCheckOptions): Promise<FolderReport> {
  const { name } = meta;
  const loaded = new Map<string, Tensors>();
  for (const { file } of meta.cases) if (!loaded.has(file)) loaded.set(file, readTensors(await read(file), file));
  const plain = meta.cases.filter((each) => isPlain(each, loaded.get(each.file)!));
  const [first] = plain;
  if (!first) return { name, cases: [], skipped: 'no case is of one sequence of tokens without padding' };
  if (!Object.keys(first.feeds).some((input) => input.startsWith('past')))
    return { name, cases: [], skipped: 'the graph has no cache' };
  // No longer than the cases: tables of positions may be short.
  const contextLength = Math.max(...plain.map((each) => lengthOf(each, loaded.get(each.file)!)));
  let decoder: SimdDecoder;
  try {
    const plan = compileDecoder(readModel(await read(first.graph)), { externalData: [], contextLength });
    const source = { plan, externalData: [], kernels: { plain: kernels }, contextLength } as const;
    decoder = await openSimdDecoder(source, {
      arithmetic: 'float32',
      cachePrecision: 'float32',
      cacheLimitBytes: 2 ** 26,
    });
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'model-unsupported')
      return { name, cases: [], skipped: thrown.message };
    throw thrown;
  }
  const prompt = plain.find((each) => pastOf(each, loaded.get(each.file)!) === 0);
  const cases: CaseReport[] = [];
  for (const each of plain) {
    const tensors = loaded.get(each.file)!;
    const past = pastOf(each, tensors);
    const before = past > 0 && prompt ? tokensOf(prompt, loaded.get(prompt.file)!) : [];
    if (before.length === past) cases.push(await checkCase({ meta, each, tensors, decoder }, before));
  }
  await decoder.dispose();
  return { name, cases };
}

function isPlain({ feeds }: TruthCase, tensors: Tensors): boolean {
  const ids = tensors.get(feeds.input_ids ?? '');
  const mask = tensors.get(feeds.attention_mask ?? '');
  return ids?.dims[0] === 1 && (mask === undefined || Array.from(mask.data, Number).every((one) => one === 1));
}

function tokensOf({ feeds }: TruthCase, tensors: Tensors): number[] {
  return Array.from(tensors.get(feeds.input_ids!)!.data, Number);
}

function lengthOf(each: TruthCase, tensors: Tensors): number {
  return pastOf(each, tensors) + tokensOf(each, tensors).length;
}

/** Tokens whose keys and values are fed. */
function pastOf({ feeds }: TruthCase, tensors: Tensors): number {
  const past = Object.keys(feeds).find((name) => name.startsWith('past'));
  return past ? (tensors.get(feeds[past]!)?.dims.at(-2) ?? 0) : 0;
}

interface Checked {
  readonly meta: TruthMeta;
  readonly each: TruthCase;
  readonly tensors: Tensors;
  readonly decoder: SimdDecoder;
}

async function checkCase({ meta, each, tensors, decoder }: Checked, before: readonly number[]): Promise<CaseReport> {
  const tokens = tokensOf(each, tensors);
  const layers = Array.from({ length: decoder.layers }, (_, layer) => layer);
  const run = async (taps: readonly number[]) => {
    const cache = decoder.createCache();
    if (before.length > 0) await decoder.forward(cache, before, { logits: 'none' });
    return decoder.forward(cache, tokens, { logits: 'all', taps });
  };
  const [plain, tapped] = [await run([]), await run(layers)];
  const failures: string[] = [];
  const taps = worst(tapped.logits, (i) => plain.logits[i]!);
  if (taps > 0) failures.push(`taps change the logits by ${taps.toExponential(1)}`);
  const logits = tensors.get(each.outputs.logits?.tensor ?? '');
  const outputs = logits ? worst(plain.logits, (i) => numberAt(logits, i)) : 0;
  if (!(outputs <= meta.tolerance.outputs)) failures.push(`the logits are off by ${outputs.toExponential(1)}`);
  let attention = 0;
  if (each.attentions.length !== layers.length)
    failures.push(`${layers.length} layers of attention, not ${each.attentions.length}`);
  for (const { tensor, layer } of each.attentions) {
    const [tap, truth] = [tapped.taps[layer], tensors.get(tensor)];
    const error = tap && truth ? attentionError(tap, truth, decoder, layer) : Number.POSITIVE_INFINITY;
    if (!(error <= meta.tolerance.attention)) failures.push(`self ${layer} is off by ${error.toExponential(1)}`);
    attention = Math.max(attention, error);
  }
  return { name: each.name, attention, outputs, taps, failures };
}

function attentionError(tap: LayerTap, truth: FileTensor, decoder: SimdDecoder, layer: number): number {
  if ('refused' in decoder.attention) return Number.POSITIVE_INFINITY;
  const [, heads = 0, queries = 0, keys = 0] = truth.dims;
  if (heads !== decoder.heads) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let head = 0; head < heads; head++)
    forEachRow(tap, decoder, decoder.attention[layer]!, head, (query, weights, firstKey) => {
      const at = (head * queries + query) * keys;
      for (let key = 0; key < keys; key++)
        largest = Math.max(largest, difference(weights[key - firstKey] ?? 0, numberAt(truth, at + key)));
    });
  return largest;
}

function worst(numbers: Float32Array, truth: (index: number) => number): number {
  let largest = 0;
  for (let i = 0; i < numbers.length; i++) largest = Math.max(largest, difference(numbers[i]!, truth(i)));
  return largest;
}
