/**
 * Holds the attention that the engine reads out of a graph to a folder of graphs, inputs and truth, in the format that
 * test/fixtures/attention/README.md describes. Knows no runtime: it is handed one.
 */
import type { AttentionSite } from '../../webview/engine/graph/attention-site.ts';
import { tapGraph } from '../../webview/engine/graph/tap-graph.ts';
import { neededTensors } from '../../webview/engine/inspect/bind-site.ts';
import { type AttentionCapture, readAttention } from '../../webview/engine/inspect/read-attention.ts';
import { outputTolerance, worstOutput } from '../../webview/engine/runtime/output-agreement.ts';
import { type FileTensor, readTensors } from './tensor-file.ts';

export interface TruthMeta {
  readonly name: string;
  readonly traits?: { readonly layers?: number; readonly heads?: number; readonly kv_heads?: number };
  readonly tolerance: { readonly outputs: number; readonly attention: number };
  readonly cases: readonly TruthCase[];
}

interface Masked {
  readonly tensor: string;
  readonly mask?: string;
  readonly mask_axis?: number;
}

export interface TruthCase {
  readonly name: string;
  readonly graph: string;
  readonly file: string;
  readonly feeds: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, Masked>>;
  readonly attentions: readonly (Masked & { readonly kind: TruthKind; readonly layer: number })[];
}

type TruthKind = 'self' | 'encoder' | 'decoder' | 'cross';
type Tensors = ReadonlyMap<string, FileTensor>;

/** A session of some runtime: inputs by name to outputs by name. */
export interface CheckedSession {
  /** Outputs of these names; of all where none are given. */
  run(feeds: Tensors, names?: readonly string[]): Promise<Tensors>;
  release(): Promise<void>;
}

export interface CheckOptions {
  readonly read: (file: string) => Promise<Uint8Array<ArrayBuffer>>;
  readonly open: (graph: Uint8Array) => Promise<CheckedSession>;
  /** Why a device does not run the folder's graphs as they are. */
  readonly cannotRun?: (meta: TruthMeta) => Promise<string | undefined>;
  /** Instead of the folder's own, where a device computes less exactly. */
  readonly attentionTolerance?: number;
  readonly outputTolerance?: number;
}

export interface CaseReport {
  readonly name: string;
  /** Largest errors: attention and outputs against the truth, outputs with taps against those without. */
  readonly attention: number;
  readonly outputs: number;
  readonly taps: number;
  readonly failures: readonly string[];
}

export interface FolderReport {
  readonly name: string;
  readonly cases: readonly CaseReport[];
  /** Why the folder is not for this runtime: that is no failure. */
  readonly skipped?: string;
}

/** Runs the untouched graphs alone: what a device cannot run, or runs wrong, says nothing of taps. */
export async function findUnfit(meta: TruthMeta, options: CheckOptions, limit: number): Promise<string | undefined> {
  for (const each of meta.cases)
    try {
      const tensors = readTensors(await options.read(each.file), each.file);
      const feeds = new Map(Object.entries(each.feeds).map(([name, key]) => [name, tensorOf(tensors, key, each)]));
      const outputs = await runOnce(options, await options.read(each.graph), { feeds });
      for (const [name, masked] of Object.entries(each.outputs)) {
        const error = outputError(outputs.get(name), masked, { meta, each, tensors, options });
        if (error > Math.max(limit, meta.tolerance.outputs))
          return `the device is off by ${error.toExponential(1)} in ${name} without taps, too`;
      }
    } catch (thrown) {
      return `the device does not run it: ${thrown instanceof Error ? thrown.message : thrown}`;
    }
  return undefined;
}

export async function checkFolder(meta: TruthMeta, options: CheckOptions): Promise<FolderReport> {
  const skipped = await options.cannotRun?.(meta);
  if (skipped) return { name: meta.name, cases: [], skipped };
  const cases: CaseReport[] = [];
  for (const each of meta.cases) cases.push(await checkCase(meta, each, options));
  return { name: meta.name, cases };
}

async function checkCase(meta: TruthMeta, each: TruthCase, options: CheckOptions): Promise<CaseReport> {
  const failed = (failure: string): CaseReport => ({
    name: each.name,
    attention: Number.POSITIVE_INFINITY,
    outputs: Number.POSITIVE_INFINITY,
    taps: Number.POSITIVE_INFINITY,
    failures: [failure],
  });
  try {
    const graph = await options.read(each.graph);
    const tensors = readTensors(await options.read(each.file), each.file);
    return await compareRuns({ meta, each, tensors, options }, graph);
  } catch (thrown) {
    return failed(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

interface Checked {
  readonly meta: TruthMeta;
  readonly each: TruthCase;
  readonly tensors: Tensors;
  readonly options: CheckOptions;
}

async function compareRuns(checked: Checked, graph: Uint8Array<ArrayBuffer>): Promise<CaseReport> {
  const { each, tensors, options, meta } = checked;
  const failures: string[] = [];
  const feeds = new Map(Object.entries(each.feeds).map(([name, key]) => [name, tensorOf(tensors, key, each)]));
  const tapped = tapGraph(graph, { path: each.graph });
  for (const { operator, node, reason } of tapped.refused) failures.push(`${operator} ${node} is not read: ${reason}`);
  const untouched = await runOnce(options, graph, { feeds });
  const needed = tapped.sites.flatMap((site) => neededTensors(site, { values: true, output: true }));
  const names = [...new Set([...untouched.keys(), ...needed])].filter((name) => !feeds.has(name));
  const results = await runOnce(options, tapped.toBytes(), { feeds, names });

  const worst = worstOutput(untouched, results, outputTolerance(tapped.model.graph));
  if (worst) failures.push(`taps change the output ${worst.output} by ${worst.difference.toExponential(1)}`);
  const taps = worstOutput(untouched, results, { absolute: 0, ofLargest: 0 })?.difference ?? 0;
  let outputs = 0;
  for (const [name, masked] of Object.entries(each.outputs)) {
    const difference = outputError(untouched.get(name), masked, checked);
    if (!(difference <= (options.outputTolerance ?? meta.tolerance.outputs)))
      failures.push(`the output ${name} is off by ${difference.toExponential(1)}`);
    outputs = Math.max(outputs, difference);
  }
  const captures = tapped.sites.flatMap((site) => {
    const capture = readAttention(site, (name) => results.get(name) ?? feeds.get(name));
    return capture ? [capture] : [];
  });
  const attention = compareAttention(captures, checked, failures);
  return { name: each.name, attention, outputs, taps, failures };
}

interface RunRequest {
  readonly feeds: Tensors;
  readonly names?: readonly string[];
}

async function runOnce({ open }: CheckOptions, graph: Uint8Array, { feeds, names }: RunRequest): Promise<Tensors> {
  const session = await open(graph);
  try {
    return await session.run(feeds, names);
  } finally {
    await session.release();
  }
}

function tensorOf(tensors: Tensors, key: string, { file, name }: TruthCase): FileTensor {
  const tensor = tensors.get(key);
  if (!tensor) throw new Error(`${file} lacks the tensor ${key} of the case ${name}.`);
  return tensor;
}

function outputError(
  got: FileTensor | undefined,
  { tensor, mask, mask_axis: axis = 1 }: Masked,
  { tensors, each }: Checked,
): number {
  const want = tensorOf(tensors, tensor, each);
  if (!got || got.data.length !== want.data.length) return Number.POSITIVE_INFINITY;
  const kept = mask ? tensorOf(tensors, mask, each) : undefined;
  const inner = want.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const length = want.dims[axis] ?? 1;
  const outer = want.dims.slice(1, axis).reduce((a, b) => a * b, 1);
  let largest = 0;
  for (let i = 0; i < want.data.length; i++) {
    const row = Math.floor(i / inner);
    const [token, entry] = [row % length, Math.floor(row / length / outer)];
    if (kept && !Number(kept.data[entry * length + token])) continue;
    largest = Math.max(largest, difference(numberAt(got, i), numberAt(want, i)));
  }
  return largest;
}

function compareAttention(captures: readonly AttentionCapture[], checked: Checked, failures: string[]): number {
  const { each, meta, options } = checked;
  const limit = options.attentionTolerance ?? meta.tolerance.attention;
  const stacks = new Set(captures.map(({ site }) => site.stack));
  const isBoth =
    stacks.has('encoder') &&
    each.attentions.some(({ kind }) => kind === 'encoder') &&
    each.attentions.some(({ kind }) => kind === 'decoder');
  let worst = 0;
  for (const kind of new Set(each.attentions.map((one) => one.kind))) {
    const own = captures.filter(({ site }) => isOfKind(site, kind, isBoth));
    const wanted = each.attentions.filter((one) => one.kind === kind);
    if (own.length !== wanted.length) failures.push(`${own.length} layers of ${kind} attention, not ${wanted.length}`);
    for (const truth of wanted) {
      const capture = own.find(({ site }) => site.layer === truth.layer);
      if (!capture) {
        failures.push(`no ${kind} attention in layer ${truth.layer}`);
        worst = Number.POSITIVE_INFINITY;
        continue;
      }
      const what = `${kind} ${truth.layer}`;
      const error = attentionError(capture, truth, checked, (wrong) => failures.push(`${what}: ${wrong}`));
      if (!(error <= limit)) failures.push(`${what} is off by ${error.toExponential(1)}`);
      worst = Math.max(worst, error);
    }
  }
  return worst;
}

function isOfKind({ kind, stack }: AttentionSite, wanted: TruthKind, isBoth: boolean): boolean {
  if ((kind === 'cross') !== (wanted === 'cross')) return false;
  return !isBoth || wanted === 'cross' || wanted === 'self' || stack === wanted;
}

function attentionError(
  capture: AttentionCapture,
  { tensor, mask, kind }: Masked & { kind: TruthKind },
  { tensors, each, meta }: Checked,
  onWrong: (what: string) => void,
): number {
  const want = tensorOf(tensors, tensor, each);
  const [batch = 0, heads = 0, queries = 0, keys = 0] = want.dims;
  const sizes = [capture.batch, capture.heads, capture.queries, capture.keys];
  if (sizes.join() !== want.dims.join()) {
    onWrong(`is [${sizes.join(', ')}], not [${want.dims.join(', ')}]`);
    return Number.POSITIVE_INFINITY;
  }
  const kvHeads = meta.traits?.kv_heads;
  if (kvHeads !== undefined && kind !== 'cross' && differentKeyHeads(capture) !== kvHeads)
    onWrong(`${differentKeyHeads(capture)} key heads, not ${kvHeads}`);
  const kept = mask ? tensorOf(tensors, mask, each).data : undefined;
  let [largest, later] = [0, 0];
  for (let b = 0; b < batch; b++)
    for (let head = 0; head < heads; head++)
      for (let query = 0; query < queries; query++) {
        if (kept && !Number(kept[b * queries + query])) continue;
        const row = capture.row(b, head, query);
        const at = ((b * heads + head) * queries + query) * keys;
        for (let key = 0; key < keys; key++) {
          const truth = numberAt(want, at + key);
          if (key > query + keys - queries) later = Math.max(later, truth);
          largest = Math.max(largest, difference(row[key]!, truth));
        }
      }
  const seen = kind === 'cross' ? 'cross' : later > 0 ? 'bidirectional' : 'causal';
  if (queries > 1 && capture.kind !== seen) onWrong(`is said to be ${capture.kind}, and is ${seen}`);
  return largest;
}

/** A cache may hold each key head once for every query head that shares it. */
function differentKeyHeads(capture: AttentionCapture): number {
  const { kvHeads, heads, keys } = capture;
  if (kvHeads < heads || keys === 0 || !capture.keyRow(0, 0, 0)) return kvHeads;
  const rows = Array.from({ length: heads }, (_, head) => capture.keyRow(0, head, 0)!.join());
  return rows.filter((row, head) => row !== rows[head - 1]).length;
}

export function numberAt({ data, type }: FileTensor, index: number): number {
  const value = Number(data[index]);
  return type === 'float16' && data instanceof Uint16Array ? halfAt(value) : value;
}

function halfAt(bits: number): number {
  const [exponent, fraction, sign] = [(bits >> 10) & 31, bits & 1023, bits & 0x8000 ? -1 : 1];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

export function difference(a: number, b: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  const apart = Math.abs(a - b);
  return Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart;
}
