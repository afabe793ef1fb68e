/** A model that transformers.js runs through its own classes, on sessions whose attention is laid open. */
import './session-seam.ts';
import { AutoModel, AutoModelForSeq2SeqLM, type PreTrainedModel, type Tensor } from '@huggingface/transformers';
import { AppError, toAppError } from '../../../src/shared/app-error.ts';
import type { ModelKind } from '../../../src/shared/engine-contract.ts';
import { type AttentionCapture, readAttention } from '../inspect/read-attention.ts';
import type { ModelFiles } from '../model-files.ts';
import type { Ort } from '../runtime/ort-build.ts';
import type { CapturedPart } from './attention-stacks.ts';
import { hubName, serveHubFiles } from './hub-files.ts';
import { HubSession } from './hub-session.ts';
import { sessionSeam } from './session-seam.ts';

export type HubInputs = Readonly<Record<string, Tensor>>;

export interface HubModelOptions {
  readonly ort: typeof Ort;
  readonly files: ModelFiles;
  readonly config: Readonly<Record<string, unknown>>;
  readonly kind: Exclude<ModelKind, 'decoder'>;
}

/** Of what a run computed attention from. */
export interface WatchedRun {
  readonly parts: readonly CapturedPart[];
  readonly sizeBytes: number;
}

export class HubModel {
  readonly model: PreTrainedModel;
  readonly #sessions: readonly HubSession[];
  /** Of graphs that stayed as they came. */
  readonly #refusals: string[] = [];

  private constructor(model: PreTrainedModel, sessions: readonly HubSession[]) {
    this.model = model;
    this.#sessions = sessions;
  }

  /** @throws AppError `model-damaged` or `model-unsupported`, naming the file or the type of model. */
  static async load({ ort, files, config, kind }: HubModelOptions): Promise<HubModel> {
    const sessions: HubSession[] = [];
    serveHubFiles(files, config);
    sessionSeam.give(async (name) => {
      const session = await HubSession.open(ort, { name, ...(await files.graphNamed(name)) });
      sessions.push(session);
      return session;
    });
    const auto = kind === 'encoder-decoder' ? AutoModelForSeq2SeqLM : AutoModel;
    try {
      // With a runtime of our own transformers.js knows no device by name; the session chooses.
      const options = { dtype: 'fp32', device: 'auto', use_external_data_format: false } as const;
      const model = await auto.from_pretrained(hubName, options);
      return new HubModel(model, sessions);
    } catch (thrown) {
      if (thrown instanceof AppError) throw thrown;
      const { message } = toAppError(thrown);
      const type = String(config.model_type ?? 'unknown');
      throw new AppError('model-unsupported', `Models of the type "${type}" cannot be run: ${message}`, {
        cause: thrown,
      });
    }
  }

  get tappedBytes(): number {
    return this.#sessions.reduce((sum, { tappedBytes }) => sum + tappedBytes, 0);
  }

  /** Of the first stack of the first graph; 0 where only a run tells. */
  get shape() {
    const sites = this.#sessions.flatMap(({ tapped }) => tapped?.sites ?? []);
    const [first] = sites;
    const { heads = 0, kvHeads = heads, headDim = 0 } = first ?? {};
    const layers = sites.filter(
      ({ kind, stack }) => stack === first?.stack && (kind === 'cross') === (first.kind === 'cross'),
    );
    return { layers: new Set(layers.map(({ layer }) => layer)).size, heads, kvHeads, headDim };
  }

  /** Inputs of the graph that reads the source. */
  get inputNames(): readonly string[] {
    return this.#sessions.find(({ name }) => !isDecoder(name))?.inputNames ?? [];
  }

  get hasCache(): boolean {
    const decoder = this.#sessions.find(({ name }) => isDecoder(name));
    return decoder?.inputNames.some((name) => name.startsWith('past_key_values')) ?? false;
  }

  async forward(inputs: HubInputs): Promise<void> {
    await this.model(inputs);
  }

  /** After a run through all graphs. A sentence when none of them can be inspected; the others go on as they came. */
  async layOpen(): Promise<string | undefined> {
    this.#refusals.length = 0;
    for (const session of this.#sessions) {
      const refusal = await session.layOpen();
      if (refusal !== undefined) this.#refusals.push(refusal);
    }
    return this.#sessions.some(({ tapped }) => tapped) ? undefined : this.#refusals.join(' ');
  }

  /** What could not be laid open, in sentences; the rest can be inspected all the same. */
  get refusals(): string[] {
    const nodes = this.#sessions.flatMap(({ tapped }) =>
      (tapped?.refused ?? []).map(({ operator, node, reason }) => `Not shown: ${node} (${operator}): ${reason}`),
    );
    return [...this.#refusals, ...nodes];
  }

  /** The attentions of the last run of each graph during `work`. */
  async watch(work: () => Promise<void>): Promise<WatchedRun> {
    const runs = new Map<HubSession, ReadonlyMap<string, { readonly data: unknown }>>();
    const read = new Map<HubSession, () => AttentionCapture[]>();
    const stops = this.#sessions.map((session) =>
      session.watch((run) => {
        runs.set(session, run);
        const sites = session.tapped?.sites ?? [];
        read.set(session, () => sites.flatMap((site) => readAttention(site, (name) => run.get(name)) ?? []));
      }),
    );
    try {
      await work();
    } finally {
      for (const stop of stops) stop();
    }
    const buffers = new Set([...runs.values()].flatMap((run) => [...run.values()].map(({ data }) => data)));
    let sizeBytes = 0;
    for (const data of buffers) if (ArrayBuffer.isView(data)) sizeBytes += data.byteLength;
    const parts = [...read].map(([session, captures]) => ({
      part: isDecoder(session.name) ? ('decoder' as const) : ('encoder' as const),
      captures: captures(),
    }));
    return { parts, sizeBytes };
  }
}

function isDecoder(sessionName: string): boolean {
  return sessionName.startsWith('decoder');
}
