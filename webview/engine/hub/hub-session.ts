/**
 * An ONNX session as transformers.js sees one, whose attention can be laid open: it runs the graph as it came, then, once
 * a probe has shown that nothing changes by it, the tapped one. Taps are fetched by runs that are watched, and no others.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-web';
import { AppError } from '../../../src/shared/app-error.ts';
import type { ExternalData } from '../graph/constant-floats.ts';
import { detachWeights } from '../graph/detach-weights.ts';
import { readModel } from '../graph/onnx-model.ts';
import { type TappedGraph, tapGraph } from '../graph/tap-graph.ts';
import { neededTensors } from '../inspect/bind-site.ts';
import type { FetchedTensor } from '../inspect/tensor-view.ts';
import { nextTask } from '../runtime/next-task.ts';
import type { Ort } from '../runtime/ort-build.ts';
import { outputTolerance, worstOutput } from '../runtime/output-agreement.ts';
import { tensorFloats } from '../runtime/tensor-floats.ts';

type Tensors = Readonly<Record<string, Tensor>>;

export interface HubGraph {
  /** As transformers.js asks for it: `model`, `encoder_model`, `decoder_model_merged`. */
  readonly name: string;
  /** Path inside the model folder. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Named as the graph names it. */
  readonly externalData: readonly ExternalData[];
}

/** A watched run: its feeds and results by name. */
export type RunTensors = ReadonlyMap<string, FetchedTensor>;

/** A file name that no exporter gives to weights. */
const ownWeights = 'glasshead-weights-of-the-graph';

export class HubSession {
  /** Set by transformers.js, on whatever it opens. */
  config: unknown;
  readonly name: string;
  readonly #ort: typeof Ort;
  readonly #graph: HubGraph;
  #session: InferenceSession;
  #tapped: TappedGraph | undefined;
  #probe: { readonly feeds: Tensors; readonly results: Tensors } | undefined;
  #watched: ((run: RunTensors) => void) | undefined;
  #tappedBytes = 0;
  readonly #outputNames: readonly string[];

  private constructor(ort: typeof Ort, graph: HubGraph, session: InferenceSession) {
    this.name = graph.name;
    this.#ort = ort;
    this.#graph = graph;
    this.#session = session;
    this.#outputNames = session.outputNames;
  }

  /** @throws AppError `engine-failed` with the words of ONNX Runtime. */
  static async open(ort: typeof Ort, graph: HubGraph): Promise<HubSession> {
    return new HubSession(ort, graph, await createSession(ort, graph, graph.bytes));
  }

  get inputNames(): readonly string[] {
    return this.#session.inputNames;
  }

  get inputMetadata(): InferenceSession['inputMetadata'] {
    return this.#session.inputMetadata;
  }

  get outputNames(): readonly string[] {
    return this.#outputNames;
  }

  get outputMetadata(): InferenceSession['outputMetadata'] {
    return this.#session.outputMetadata.filter(({ name }) => this.#outputNames.includes(name));
  }

  /** Absent until `layOpen` has succeeded. */
  get tapped(): Pick<TappedGraph, 'sites' | 'refused'> | undefined {
    return this.#tapped;
  }

  get tappedBytes(): number {
    return this.#tappedBytes;
  }

  /** Before `layOpen` the last run is kept, to be compared with. */
  async run(feeds: Tensors): Promise<Tensors> {
    await nextTask(); // a cancel is heard between two tokens
    if (this.#watched && this.#tapped) return this.#runWatched(feeds, this.#tapped, this.#watched);
    const results = await this.#session.run(feeds, [...this.#outputNames]);
    if (!this.#tapped) this.#probe = { feeds, results };
    return results;
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  /** Calls back with every run until the result is called. */
  watch(onRun: (run: RunTensors) => void): () => void {
    this.#watched = onRun;
    return () => {
      this.#watched = undefined;
    };
  }

  /**
   * Runs the last run again with the attention laid open. A sentence when that cannot be done, or changes an output; the
   * session then goes on with the graph as it came.
   */
  async layOpen(): Promise<string | undefined> {
    const probe = this.#probe;
    if (!probe) return undefined;
    const { path, bytes, externalData } = this.#graph;
    const model = readModel(bytes);
    const tolerance = outputTolerance(model.graph);
    const tapped = tapGraph(model);
    const [refused] = tapped.refused;
    if (tapped.sites.length === 0)
      return refused
        ? `The attention of ${refused.node} (${refused.operator}) in ${path} cannot be read: ${refused.reason}`
        : `${path} has no attention that can be recognised.`;
    const isDetached = detachWeights(model, bytes, ownWeights);
    const weights = isDetached ? [{ path: ownWeights, data: bytes }] : [];
    await this.#session.release();
    this.#session = await createSession(this.#ort, this.#graph, tapped.toBytes(), weights);
    const results = await this.#session.run(probe.feeds, [...this.#outputNames]);
    const different = worstOutput(await numbersOf(probe.results), await numbersOf(results), tolerance);
    this.#probe = undefined;
    if (different === undefined) {
      this.#tapped = tapped;
      return undefined;
    }
    await this.#session.release();
    this.#session = await createSession(this.#ort, { ...this.#graph, externalData }, bytes);
    return `Naming its queries and keys as outputs changes the output "${different.output}" of ${path} by ${different.difference.toPrecision(2)}.`;
  }

  async #runWatched(
    feeds: Tensors,
    { sites, outputs }: TappedGraph,
    onRun: (run: RunTensors) => void,
  ): Promise<Tensors> {
    const wanted = new Set(sites.flatMap((site) => neededTensors(site)));
    const taps = outputs.filter((name) => wanted.has(name));
    const results = await this.#session.run(feeds, [...new Set([...this.#outputNames, ...taps])]);
    const run = new Map<string, FetchedTensor>();
    for (const name of wanted) {
      const tensor = results[name] ?? feeds[name];
      if (!tensor) continue;
      const data = tensor.data as FetchedTensor['data'];
      run.set(name, { data, dims: tensor.dims, type: tensor.type });
      if (taps.includes(name)) this.#tappedBytes += (data as Float32Array).byteLength;
    }
    onRun(run);
    return Object.fromEntries(this.#outputNames.map((name) => [name, results[name]!]));
  }
}

async function numbersOf(outputs: Tensors): Promise<Map<string, { data: Float32Array }>> {
  const all = Object.entries(outputs).map(
    async ([name, tensor]) => [name, { data: await tensorFloats(tensor) }] as const,
  );
  return new Map(await Promise.all(all));
}

async function createSession(
  ort: typeof Ort,
  { path, externalData }: HubGraph,
  bytes: Uint8Array,
  weights: readonly { readonly path: string; readonly data: Uint8Array }[] = [],
): Promise<InferenceSession> {
  try {
    return await ort.InferenceSession.create(bytes, {
      executionProviders: ['wasm'],
      logSeverityLevel: 3,
      externalData: [...externalData.map(({ path, file }) => ({ path, data: file.whole() })), ...weights],
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('engine-failed', `ONNX Runtime could not open ${path}: ${message}`, { cause });
  }
}
