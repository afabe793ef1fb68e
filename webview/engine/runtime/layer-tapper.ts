/** Reads what one layer's attention is computed from out of the tensors of a run, as every decoder hands it on. */
import type { Tensor } from 'onnxruntime-web';
import type { AttentionSpec, LayerTap, ScoreRule } from '../decoder.ts';
import type { AttentionSite } from '../graph/attention-site.ts';
import { neededTensors } from '../inspect/bind-site.ts';
import { type AttentionCapture, readAttention } from '../inspect/read-attention.ts';
import type { FetchedTensor } from '../inspect/tensor-view.ts';
import { scoreRule } from './score-rule.ts';

/** A constant of the graph by the name of its tap; undefined for what a run computes. */
export type ConstantTensor = (name: string) => FetchedTensor | undefined;

export interface TapParts {
  /** Keys and values; without, their sizes only. */
  readonly past: boolean;
  readonly outputs: boolean;
}

export class LayerTapper {
  readonly site: AttentionSite;
  readonly spec: AttentionSpec;
  readonly #constant: ConstantTensor;

  constructor(site: AttentionSite, headDim: number, constant: ConstantTensor) {
    this.site = site;
    this.#constant = constant;
    const { scale, softcap, window } = site;
    this.spec = {
      scale: scale ?? 1 / Math.sqrt(headDim),
      ...(softcap !== undefined && { softcap }),
      ...(window !== undefined && { window }),
    };
  }

  /** What is read of a run: its outputs and its feeds. */
  names(outputs: boolean): string[] {
    return neededTensors(this.site, { values: true, output: outputs }).filter((name) => !this.#constant(name));
  }

  /** @throws AppError `model-unsupported` when this run's scores are not those of a causal decoder. */
  async read(run: TappedTensors, { past, outputs }: TapParts): Promise<LayerTap> {
    const { site } = this;
    const cached = new Set([site.program?.key.tensor, site.value?.tensor]);
    const isEmpty = (name: string) => !past && cached.has(name) && name !== site.program?.query.tensor;
    for (const name of this.names(outputs)) if (!isEmpty(name)) await run.load(name);
    const capture = readAttention(
      site,
      (name) => this.#constant(name) ?? (isEmpty(name) ? run.sizes(name) : run.loaded(name)),
    )!;
    const rule = run.rule(site, () => scoreRule(capture, this.spec));
    return {
      query: rowsOf(capture, 'query', capture.heads),
      key: past ? rowsOf(capture, 'key', capture.kvHeads) : new Float32Array(0),
      value: past ? rowsOf(capture, 'value', capture.kvHeads) : new Float32Array(0),
      ...(outputs && { output: outputsOf(capture), residual: new Float32Array(0) }),
      ...(Object.keys(rule).length > 0 && { rule }),
    };
  }
}

/** The tensors of one run, each downloaded once. */
export class TappedTensors {
  readonly #tensors: Readonly<Record<string, Tensor>>;
  readonly #loaded = new Map<string, FetchedTensor>();
  readonly #rules = new Map<string, ScoreRule>();

  constructor(tensors: Readonly<Record<string, Tensor>>) {
    this.#tensors = tensors;
  }

  async load(name: string): Promise<void> {
    const tensor = this.#tensors[name];
    if (!tensor || this.#loaded.has(name)) return;
    const data = (tensor.location === 'cpu' ? tensor.data : await tensor.getData()) as FetchedTensor['data'];
    this.#loaded.set(name, { data, dims: tensor.dims, type: tensor.type });
  }

  loaded(name: string): FetchedTensor | undefined {
    return this.#loaded.get(name);
  }

  sizes(name: string): FetchedTensor | undefined {
    const tensor = this.#tensors[name];
    return tensor && { data: [], dims: tensor.dims, type: tensor.type };
  }

  /** Layers share their masks. */
  rule({ program, hasSink, node }: AttentionSite, compute: () => ScoreRule): ScoreRule {
    const key = JSON.stringify([program?.steps, hasSink && node]);
    const rule = this.#rules.get(key) ?? compute();
    this.#rules.set(key, rule);
    return rule;
  }
}

/** [head, token, dim] of the only sequence. */
function rowsOf(capture: AttentionCapture, what: 'query' | 'key' | 'value', heads: number): Float32Array {
  const tokens = what === 'query' ? capture.queries : capture.keys;
  const group = capture.heads / heads;
  const row = (head: number, token: number) => capture[`${what}Row`](0, head * group, token)!;
  const size = tokens > 0 ? row(0, 0).length : 0;
  const rows = new Float32Array(heads * tokens * size);
  for (let head = 0; head < heads; head++)
    for (let token = 0; token < tokens; token++) rows.set(row(head, token), (head * tokens + token) * size);
  return rows;
}

/** [token, heads * dim]. */
function outputsOf(capture: AttentionCapture): Float32Array {
  const { heads, queries } = capture;
  const size = capture.outputRow(0, 0, 0)?.length ?? 0;
  const rows = new Float32Array(queries * heads * size);
  for (let head = 0; head < heads; head++)
    for (let token = 0; token < queries; token++)
      rows.set(capture.outputRow(0, head, token)!, (token * heads + head) * size);
  return rows;
}
