/**
 * A Decoder on our own kernels: a run is one call into WebAssembly. Activations of quantised layers are rounded to int8
 * unless a run asks for float32.
 */
import { AppError, throwIfAborted, toAppError } from '../../../../src/shared/app-error.ts';
import type {
  AttentionSpec,
  BatchItem,
  Cache,
  Decoder,
  ForwardOptions,
  ForwardResult,
  LayerTap,
} from '../../decoder.ts';
import { checkIntervention } from '../../intervention.ts';
import { nextTask } from '../next-task.ts';
import { readPast } from './cached-past.ts';
import type { EncodedPlan } from './encode-plan.ts';
import { InterventionArea } from './intervention-area.ts';
import { LogitsArea } from './logits-area.ts';
import type { Machine } from './machine.ts';
import { MachineState, type Segment } from './machine-state.ts';
import { type PagePool, paddedDim, pageTokens } from './page-pool.ts';
import type { Plan } from './plan.ts';
import { SimdCache } from './simd-cache.ts';
import { TapArea } from './tap-area.ts';

export interface SimdDecoderParts {
  readonly machine: Machine;
  readonly plan: Plan;
  readonly encoded: EncodedPlan;
  readonly pool: PagePool;
  readonly contextLength: number;
  readonly maxRows: number;
  /** How runs that do not say are computed. */
  readonly arithmetic: 'int8' | 'float32';
}

/** A sequence of a run, what is changed in it, and which of its logits are wanted. */
type Part = Segment & Omit<BatchItem, 'cache'>;

export class SimdDecoder implements Decoder {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly maxChunk: number;
  readonly device = 'wasm';
  readonly hasGates = true;
  readonly hasPatches = true;
  readonly hasCuts = true;
  readonly tokensTogether = 4;
  readonly attention: readonly AttentionSpec[];
  readonly #parts: SimdDecoderParts;
  readonly #state: MachineState;
  readonly #taps: TapArea;
  readonly #changes: InterventionArea;
  readonly #logits: LogitsArea;
  #forwardedTokens = 0;
  #tappedBytes = 0;
  #failed: AppError | undefined;

  constructor(parts: SimdDecoderParts) {
    const { machine, plan, encoded, pool, maxRows } = parts;
    this.#parts = parts;
    this.layers = plan.layers;
    this.heads = plan.heads;
    this.kvHeads = plan.kvHeads;
    this.headDim = plan.headDim;
    this.vocabSize = plan.vocabSize;
    this.contextLength = parts.contextLength;
    this.maxChunk = maxRows;
    this.attention = attentionSpecs(plan);
    this.#state = new MachineState(machine, {
      maxRows,
      contextLength: parts.contextLength,
      pageTokens,
      widestInput: encoded.widestInput,
      gates: plan.layers * plan.heads,
      numberBytes: pool.shape.numberBytes,
      // What assembly/attention.ts asks for on each thread, whatever the number of rows.
      attentionScratch: machine.threads * (160 * paddedDim(plan.headDim) + 2304),
    });
    this.#taps = new TapArea(machine, plan, maxRows);
    this.#changes = new InterventionArea(machine, plan);
    this.#logits = new LogitsArea(machine, encoded.logits, plan.vocabSize);
  }

  get counters() {
    const { machine, encoded } = this.#parts;
    return {
      forwardedTokens: this.#forwardedTokens,
      tappedBytes: this.#tappedBytes,
      wasmBytes: machine.sizeBytes,
      weightBytesRead: encoded.weightBytesRead,
    };
  }

  createCache(): SimdCache {
    return new SimdCache(this.#parts.pool);
  }

  onFull(reclaim: () => boolean): void {
    this.#parts.pool.onFull(reclaim);
  }

  async forward(cache: Cache, tokens: readonly number[], options: ForwardOptions): Promise<ForwardResult> {
    const [result] = await this.forwardBatch([{ cache, tokens }], options);
    return result!;
  }

  /** As `forward`, for several sequences at once: the weights are read once for all of them. */
  async forwardBatch(items: readonly BatchItem[], options: ForwardOptions): Promise<ForwardResult[]> {
    await nextTask();
    throwIfAborted(options.signal);
    if (this.#failed) throw this.#failed;
    const segments = this.#checked(items);
    this.#checkChanges(items, options);
    const tapped = options.taps ?? [];
    if (tapped.length > 0 && segments.length > 1) throw new RangeError('Taps are of one sequence at a time.');
    for (const { cache, tokens } of segments) cache.reserve(tokens.length);
    try {
      return this.#run(segments, options, tapped);
    } catch (thrown) {
      this.#failed = toAppError(thrown);
      this.#parts.machine.close();
      throw this.#failed;
    }
  }

  async dispose(): Promise<void> {
    this.#failed ??= new AppError('engine-died', 'The model was unloaded.');
    this.#parts.machine.close();
  }

  #checked(items: readonly BatchItem[]): Part[] {
    const rows = items.reduce((sum, { tokens }) => sum + tokens.length, 0);
    if (rows === 0 || rows > this.maxChunk || items.some(({ tokens }) => tokens.length === 0))
      throw new RangeError(`A forward pass takes 1 to ${this.maxChunk} tokens, not ${rows}.`);
    if (new Set(items.map(({ cache }) => cache)).size !== items.length)
      throw new RangeError('Each sequence of a forward pass needs a cache of its own.');
    return items.map(({ cache, tokens, ...changes }) => {
      if (!(cache instanceof SimdCache)) throw new TypeError('This cache belongs to another runtime.');
      const bad = tokens.find((id) => !(Number.isInteger(id) && id >= 0 && id < this.vocabSize));
      if (bad !== undefined) throw new RangeError(`There is no token ${bad} in a vocabulary of ${this.vocabSize}.`);
      const total = cache.length + tokens.length;
      if (total > this.contextLength)
        throw new AppError(
          'context-overflow',
          `The text has ${total} tokens, but this model reads at most ${this.contextLength}. Shorten it.`,
        );
      return { ...changes, cache, tokens };
    });
  }

  #checkChanges(items: readonly BatchItem[], options: ForwardOptions): void {
    checkIntervention(this, options);
    const shared = options.cuts ?? [];
    for (const item of items)
      checkIntervention(this, shared.length > 0 ? { ...item, cuts: [...shared, ...(item.cuts ?? [])] } : item);
  }

  #run(segments: readonly Part[], options: ForwardOptions, tapped: readonly number[]): ForwardResult[] {
    const { machine, encoded, arithmetic } = this.#parts;
    const { logits, gates, arithmetic: rounding = arithmetic } = options;
    const selected = selectedRows(segments, logits);
    const rows = this.#state.write({
      segments,
      selected,
      isExact: rounding === 'float32',
      gates,
      changes: this.#changes.write(segments, options),
      taps: this.#taps.ask(tapped, options.tapOutputs === true),
    });
    machine.run(encoded.words, rows, this.#state.address);
    this.#forwardedTokens += rows;
    for (const { cache, tokens } of segments) cache.advance(tokens.length);
    let at = 0;
    return segments.map((part) => {
      const { cache, tokens } = part;
      const asked = part.logits ?? logits;
      const count = asked === 'all' ? tokens.length : asked === 'last' ? 1 : 0;
      const result = {
        logits: this.#logits.read(at, count),
        distributions: Array.from({ length: count }, (_, row) => this.#logits.describe(at + row)),
        taps: tapped.map((layer) => this.#tap(layer, cache, tokens.length, options)),
      };
      at += count;
      return result;
    });
  }

  #tap(
    layer: number,
    cache: SimdCache,
    rows: number,
    { tapPast = true, tapOutputs = false }: ForwardOptions,
  ): LayerTap {
    const { pool, machine } = this.#parts;
    const tap = {
      query: this.#taps.query(layer, rows),
      ...(tapPast
        ? readPast(machine, pool.shape, cache, layer)
        : { key: new Float32Array(0), value: new Float32Array(0) }),
      ...(tapOutputs && this.#taps.outputs(layer, rows)),
    };
    for (const data of Object.values(tap)) this.#tappedBytes += data?.byteLength ?? 0;
    return tap;
  }
}

function selectedRows(parts: readonly Part[], logits: ForwardOptions['logits']): number[] {
  const selected: number[] = [];
  let row = 0;
  for (const { tokens, logits: asked = logits } of parts) {
    const first = asked === 'all' ? 0 : asked === 'last' ? tokens.length - 1 : tokens.length;
    for (let i = first; i < tokens.length; i++) selected.push(row + i);
    row += tokens.length;
  }
  return selected;
}

function attentionSpecs(plan: Plan): AttentionSpec[] {
  const specs: AttentionSpec[] = [];
  for (const step of plan.steps)
    if (step.op === 'attention')
      specs[step.layer] = {
        scale: step.scale,
        ...(step.softcap !== undefined && { softcap: step.softcap }),
        ...(step.window !== undefined && { window: step.window }),
        ...(step.sinks && { sinks: step.sinks }),
      };
  return specs;
}
