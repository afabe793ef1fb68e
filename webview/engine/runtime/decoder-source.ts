/** Opens decoders from one model's bytes: on either device, with the graph as it came or with the edited one. */
import type { InferenceSession } from 'onnxruntime-web';
import { AppError } from '../../../src/shared/app-error.ts';
import { constantFloats, type ExternalData } from '../graph/constant-floats.ts';
import type { DecoderGraph } from '../graph/decoder-graph.ts';
import type { FetchedTensor } from '../inspect/tensor-view.ts';
import { type ConstantTensor, LayerTapper } from './layer-tapper.ts';
import type { Ort } from './ort-build.ts';
import { OrtDecoder } from './ort-decoder.ts';
import { presentOutputs, wireSession } from './session-wiring.ts';

export interface DecoderSource {
  readonly ort: typeof Ort;
  readonly original: Uint8Array;
  readonly graph: DecoderGraph;
  /** Named as the graph names it. */
  readonly externalData: readonly ExternalData[];
  readonly config: Readonly<Record<string, unknown>>;
}

export interface OpenOptions {
  readonly device: 'webgpu' | 'wasm';
  readonly isEdited: boolean;
  /** Why attention cannot be read when the graph is not edited. */
  readonly refusal?: string;
  readonly maxChunk: number;
}

/** About half a second of work on WebAssembly, so that a cancel waits no longer; larger chunks are hardly faster. */
export const wasmChunk = 32;

export async function openDecoder(source: DecoderSource, options: OpenOptions): Promise<OrtDecoder> {
  const { ort, graph, config } = source;
  const session = await createSession(source, options);
  try {
    const wiring = wireSession(session, options.isEdited ? graph.gateInputs : []);
    const logits = session.outputMetadata.find(({ name }) => name === wiring.logits);
    const declared = logits?.isTensor ? logits.shape.at(-1) : undefined;
    const { attention } = graph;
    return new OrtDecoder({
      ort,
      session,
      wiring,
      device: options.device,
      heads: headsOf(attention) ?? configNumber(config, 'num_attention_heads', 'n_head', 'num_heads'),
      vocabSize: typeof declared === 'number' ? declared : configNumber(config, 'vocab_size'),
      contextLength: contextLengthOf(config),
      maxChunk: options.maxChunk,
      tappers: options.isEdited
        ? createTappers(source, wiring.headDim)
        : { refused: options.refusal ?? 'The graph was not edited.' },
    });
  } catch (thrown) {
    await session.release();
    throw thrown;
  }
}

async function createSession(source: DecoderSource, { device, isEdited }: OpenOptions): Promise<InferenceSession> {
  const { ort, graph, original, externalData } = source;
  const outputs = graph.model.graph.output.map(({ name }) => name);
  const onGpu = Object.fromEntries(presentOutputs(outputs).map((name) => [name, 'gpu-buffer' as const]));
  try {
    return await ort.InferenceSession.create(isEdited ? graph.bytes : original, {
      executionProviders: [device],
      logSeverityLevel: 3, // warnings that some shape arithmetic stays on the CPU are no news
      externalData: externalData.map(({ path, file }) => ({ path, data: file.whole() })),
      ...(device === 'webgpu' && { preferredOutputLocation: onGpu }),
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('engine-failed', `ONNX Runtime could not open the model: ${message}`, { cause });
  }
}

function headsOf(attention: DecoderGraph['attention']): number | undefined {
  return 'refused' in attention ? undefined : attention[0]!.heads;
}

function createTappers(
  { graph: { attention, model }, externalData }: DecoderSource,
  headDim: number,
): LayerTapper[] | { readonly refused: string } {
  if ('refused' in attention) return attention;
  const known = new Map<string, FetchedTensor | undefined>();
  // Read when attention is first looked at: most who use a model never do.
  const constant: ConstantTensor = (name) => {
    if (!known.has(name)) {
      const floats = constantFloats(model, name, externalData);
      known.set(name, floats && { ...floats, type: 'float32' });
    }
    return known.get(name);
  };
  return attention.map((site) => new LayerTapper(site, site.headDim ?? headDim, constant));
}

/** @throws AppError `model-damaged` when config.json does not tell. */
export function contextLengthOf(config: Readonly<Record<string, unknown>>): number {
  return configNumber(config, 'max_position_embeddings', 'n_positions', 'n_ctx', 'max_seq_len');
}

function configNumber(config: Readonly<Record<string, unknown>>, ...names: string[]): number {
  const nested = config.text_config;
  const scopes = [config, ...(nested && typeof nested === 'object' ? [nested as Record<string, unknown>] : [])];
  for (const scope of scopes)
    for (const name of names) {
      const value = scope[name];
      if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
    }
  throw new AppError('model-damaged', `config.json of the model does not tell ${names[0]}. Reload the model.`);
}
