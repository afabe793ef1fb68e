/** Broken models on the whole way in: each is loaded and computes, or is refused with a sentence; nothing else happens. */
import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { compileKernels } from '../../../../scripts/kernels.mjs';
import { AppError } from '../../../../src/shared/app-error.ts';
import { ByteFile } from '../../../../webview/engine/byte-file.ts';
import type { ExternalData } from '../../../../webview/engine/graph/constant-floats.ts';
import { StringStringEntryProtoSchema, TensorProto_DataLocation } from '../../../../webview/engine/graph/onnx_pb.js';
import { type OnnxModel, readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import { openSimdDecoder } from '../../../../webview/engine/runtime/simd/open-simd-decoder.ts';
import { multiHead, onnxAttention, turnRows, visible } from '../../support/attention-spellings.ts';
import { families } from '../../support/decoder-families.ts';
import { blockTable, byteTable } from '../../support/embedding-spellings.ts';
import { any, mutations, type Random } from '../../support/graph-mutations.ts';
import { activations, gatedMlp } from '../../support/layer-spellings.ts';
import { expectWithinBounds } from '../../support/plan-bounds.ts';
import { dequantised, floatHalves, matMulBits, matMulInteger, type Product } from '../../support/product-spellings.ts';
import { createRandom } from '../../support/random.ts';
import { type TinyParts, tinyBytes } from '../../support/tiny-decoder.ts';

const contextLength = 40;
const weightFile = 'model.onnx_data';
const kernels = compileKernels();

const multiplied = (times: Product): TinyParts => ({
  mlp: gatedMlp(activations.silu!, times),
  head: (graph, x) => times(graph, x, 16, 20),
});

const originals = [
  ...Object.values(families),
  multiplied(matMulBits({ blockSize: 16, zeroPoints: 'bytes', hasBias: true })),
  multiplied(matMulBits({ bits: 8, blockSize: 32, zeroPoints: 'floats' })),
  { ...multiplied(matMulInteger({ isByChannel: true, isSigned: true })), embed: byteTable(16, true) },
  { ...multiplied(dequantised({ isByChannel: true })), embed: blockTable({ columns: 16, blockSize: 16 }, false) },
  { ...multiplied(floatHalves), sizes: { heads: 2 }, attention: multiHead({ turn: turnRows() }) },
  { attention: onnxAttention({ mask: (graph) => visible(graph, 3), hasHeadNorms: true }) },
].map((parts) => tinyBytes(parts));

interface Broken {
  readonly model: OnnxModel;
  readonly files: readonly ExternalData[];
}

/** Constants of 16 bytes and more in a file beside the graph. */
function withFile(model: OnnxModel): Uint8Array<ArrayBuffer> {
  const parts: number[] = [];
  for (const tensor of model.graph.initializer) {
    if (tensor.rawData.length < 16) continue;
    const entries = { location: weightFile, offset: `${parts.length}`, length: `${tensor.rawData.length}` };
    parts.push(...tensor.rawData, ...new Array<number>(-tensor.rawData.length & 15).fill(0));
    tensor.rawData = new Uint8Array(0);
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
    tensor.externalData = Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    );
  }
  return Uint8Array.from(parts);
}

const chunked = (bytes: Uint8Array<ArrayBuffer>, size: number) =>
  new ByteFile(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.slice(i * size, (i + 1) * size).buffer),
  );

/** What happens to the file of the weights, and to what the graph says of it. */
const fileMutations: Record<string, (model: OnnxModel, bytes: Uint8Array<ArrayBuffer>, random: Random) => Broken> = {
  'weights in a file': (model, bytes) => ({ model, files: [{ path: weightFile, file: chunked(bytes, 1000) }] }),
  'a file that is cut': (model, bytes, random) => {
    const file = chunked(bytes.slice(0, random(bytes.length)), 700);
    return { model, files: [{ path: weightFile, file }] };
  },
  'a file that is missing': (model) => ({ model, files: [] }),
  'a file of other numbers': (model, bytes, random) => {
    const garbled = bytes.map(() => random(256));
    return { model, files: [{ path: weightFile, file: chunked(garbled, 4096) }] };
  },
  'places that are wrong': (model, bytes, random) => {
    const entries = model.graph.initializer.flatMap(({ externalData }) => externalData);
    const entry = any(entries, random);
    entry.value = any(['-1', '1', '7', 'nan', '1e300', '99999999999999999999', '', '../elsewhere'], random);
    return { model, files: [{ path: weightFile, file: chunked(bytes, 1000) }] };
  },
};

const runs = 30;

/** 30 seeds, each on another of the originals. */
async function outcomes(name: string, broken: (model: OnnxModel, random: Random) => Broken) {
  const counts = { computes: 0, refused: 0 };
  for (let seed = 0; seed < runs; seed++) {
    const next = createRandom(seed * 131 + name.length * 17 + 5);
    const random = (below: number) => Math.floor(next() * below);
    const bytes = originals[(seed + name.length) % originals.length]!.slice(); // constants are views into them
    counts[await loaded(() => broken(readModel(bytes), random), `${name}, seed ${seed}`)]++;
  }
  return counts;
}

async function loaded(make: () => Broken, what: string): Promise<'computes' | 'refused'> {
  try {
    const { model, files: externalData } = make();
    const plan = compileDecoder(model, { externalData, contextLength });
    expectWithinBounds(plan, contextLength);
    const { plain } = await kernels;
    const decoder = await openSimdDecoder(
      { plan, externalData, kernels: { plain }, contextLength },
      { arithmetic: what.length % 2 ? 'int8' : 'float32', cachePrecision: 'float32', cacheLimitBytes: 2 ** 24 },
    );
    const tokens = Array.from({ length: Math.min(9, decoder.contextLength) }, (_, i) => (i * 5) % decoder.vocabSize);
    const cache = decoder.createCache();
    const { logits } = await decoder.forward(cache, tokens, { logits: 'all', taps: [0], tapOutputs: true });
    expect(logits, what).toHaveLength(tokens.length * plan.vocabSize);
    if (decoder.contextLength > tokens.length) await decoder.forward(cache, [0], { logits: 'last' });
    return 'computes';
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw new Error(`${what}: ${thrown}`, { cause: thrown });
    expect(thrown.message, what).toMatch(/^[A-Z].{20,}\.$/s);
    expect(['model-damaged', 'model-unsupported', 'out-of-memory'], `${what}: ${thrown.message}`).toContain(
      thrown.code,
    );
    return 'refused';
  }
}

describe('graphs', () => {
  test.each(Object.keys(mutations))('%s', { timeout: 60_000 }, async (name) => {
    const { computes, refused } = await outcomes(name, (model, random) => {
      mutations[name]!(model, random);
      return { model, files: [] };
    });
    expect(computes + refused).toBe(runs);
  });
});

describe('files', () => {
  test.each(Object.keys(fileMutations))('%s', { timeout: 60_000 }, async (name) => {
    const { computes, refused } = await outcomes(name, (model, random) =>
      fileMutations[name]!(model, withFile(model), random),
    );
    expect(computes + refused).toBe(runs);
    if (name === 'weights in a file') expect(refused).toBe(0);
    if (name === 'a file that is missing') expect(computes).toBe(0);
  });
});
