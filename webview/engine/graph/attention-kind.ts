/** Tells attention to another sequence from self attention, and which attentions belong together. */
import type { FoundAttention, GraphReading } from './graph-reading.ts';
import { productForm } from './matrix-product.ts';
import type { WiredNode, WiredTensor } from './wired-graph.ts';

/** Products with weights to pass on the way back from queries: two where they come from a low rank (DeepSeek). */
const maxProjections = 2;
/** Nodes to look at: a projection with its rotary embedding and norm has some thirty. */
const maxVisited = 150;

/**
 * Queries and keys of self attention are made from one tensor: the input of the layer. Keys of cross attention do not
 * depend on what the queries are made from.
 */
export function isCross({ querySource, keySource }: FoundAttention, reading: GraphReading): boolean {
  const origins = originsOf(querySource, reading);
  if (origins.size === 0) return true; // learned queries
  return !dependsOn(keySource, origins, reading);
}

/** What products with weights read, on the way back; the tensors themselves where there is no such product. */
function originsOf(sources: readonly WiredTensor[], reading: GraphReading): Set<WiredTensor> {
  const origins = new Set<WiredTensor>();
  const passed = new Set<WiredTensor>();
  let level = sources.filter((tensor) => reading.isActivation(tensor));
  if (sources.length > 0 && level.length === 0) return origins;
  for (let projections = 0; projections < maxProjections; projections++) {
    const next: WiredTensor[] = [];
    const pending = [...level];
    for (let tensor = pending.pop(); tensor && passed.size < maxVisited; tensor = pending.pop()) {
      if (passed.has(tensor) || !isContent(tensor, reading)) continue;
      passed.add(tensor);
      const input = projected(tensor.producer, reading);
      if (input) {
        origins.add(input);
        next.push(input);
      } else if (!isMixing(tensor.producer)) pending.push(...inputsOf(tensor.producer));
    }
    level = next;
  }
  return origins.size > 0 ? origins : passed;
}

/** One number for all tokens, such as the scale of a dynamic quantisation, says nothing of where they come from. */
function isContent(tensor: WiredTensor, reading: GraphReading): boolean {
  return reading.isActivation(tensor) && reading.facts(tensor).shape?.length !== 0;
}

function inputsOf(node: WiredNode | undefined): WiredTensor[] {
  return node?.inputs.filter((each) => each !== undefined) ?? [];
}

/** Behind another attention lie tensors of other sequences. */
function isMixing(node: WiredNode | undefined): boolean {
  return (
    node !== undefined &&
    (productForm(node) !== undefined || /Attention|Softmax|^If$|^Loop$|^Scan$/.test(node.operator))
  );
}

const projections = new Set(
  (
    'Conv com.microsoft.MatMulNBits com.microsoft.MatMulBnb4 com.microsoft.DynamicQuantizeMatMul ' +
    'com.microsoft.MatMulIntegerToFloat com.microsoft.FusedGemm Gemm'
  ).split(' '),
);

/** The activation that a product with weights reads. */
function projected(node: WiredNode | undefined, reading: GraphReading): WiredTensor | undefined {
  if (!node || !(productForm(node) || projections.has(node.operator))) return undefined;
  const [first, second] = [node.inputs[0], node.inputs[productForm(node)?.right ?? 1]];
  if (!first || !reading.isActivation(first)) return second && reading.isActivation(second) ? second : undefined;
  if (second && reading.isActivation(second)) return undefined;
  const quantiser = first.producer;
  const isQuantised = quantiser?.operator === 'DynamicQuantizeLinear' || quantiser?.operator === 'QuantizeLinear';
  return isQuantised ? quantiser.inputs[0] : first;
}

/** Ancestors stand before in the order of execution: nothing before the first origin has to be looked at. */
function dependsOn(sources: readonly WiredTensor[], origins: ReadonlySet<WiredTensor>, reading: GraphReading): boolean {
  const orderOf = (tensor: WiredTensor) => tensor.producer?.order ?? -1;
  const first = Math.min(...[...origins].map(orderOf));
  const seen = new Set<WiredTensor>();
  const pending = [...sources];
  for (let tensor = pending.pop(); tensor; tensor = pending.pop()) {
    if (seen.has(tensor) || !isContent(tensor, reading)) continue;
    if (origins.has(tensor)) return true;
    seen.add(tensor);
    const { producer } = tensor;
    if (!producer || producer.order < first) continue;
    for (const input of producer.inputs) if (input) pending.push(input);
  }
  return false;
}

/** All that some tensors are made from. */
export function ancestorsOf(sources: Iterable<WiredTensor>): Set<WiredTensor> {
  const seen = new Set<WiredTensor>();
  const pending = [...sources];
  for (let tensor = pending.pop(); tensor; tensor = pending.pop()) {
    if (seen.has(tensor)) continue;
    seen.add(tensor);
    const { producer } = tensor;
    if (producer) for (const input of [...producer.inputs, ...producer.captured]) if (input) pending.push(input);
  }
  return seen;
}

/**
 * For every tensor the graph inputs that its values come from, where what an attention adds from its keys does not
 * count: so all layers of one stack have the same.
 */
export function contentOf(reading: GraphReading, found: readonly FoundAttention[]): (tensor: WiredTensor) => string {
  const queries = new Map(
    found.flatMap(({ result, output, querySource }) =>
      [result, output?.tensor].flatMap((tensor) => (tensor ? [[tensor, querySource] as const] : [])),
    ),
  );
  const content = new Map<WiredTensor, ReadonlySet<string>>();
  const of = (tensor: WiredTensor): ReadonlySet<string> =>
    content.get(tensor) ?? new Set(tensor.isInput && !tensor.producer ? [tensor.name] : []);
  const sets = new Map<string, ReadonlySet<string>>();
  for (const node of reading.graph.nodes)
    for (const output of node.outputs) {
      if (!output || !reading.isActivation(output)) continue;
      const inputs = queries.get(output) ?? [...node.inputs, ...node.captured].filter((each) => each !== undefined);
      const names = new Set(inputs.flatMap((input) => [...of(input)]));
      const key = [...names].sort().join(' ');
      const shared = sets.get(key) ?? names;
      sets.set(key, shared);
      content.set(output, shared);
    }
  return (tensor) => [...of(tensor)].sort().join(' ');
}
