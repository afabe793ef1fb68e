/** Graphs of every family and operator form: our runtime computes what ONNX Runtime computes from the very same bytes. */
import { create } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { compileKernels } from '../../../../scripts/kernels.mjs';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from '../../../../webview/engine/graph/onnx_pb.js';
import { readModel, writeModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { createInspection } from '../../../../webview/engine/inspect/inspection.ts';
import { compileDecoder } from '../../../../webview/engine/runtime/simd/compile/compile-graph.ts';
import { openSimdDecoder } from '../../../../webview/engine/runtime/simd/open-simd-decoder.ts';
import type { SimdDecoder } from '../../../../webview/engine/runtime/simd/simd-decoder.ts';
import { families } from '../../support/decoder-families.ts';
import { attentions, embeddings, functions, multiplied, norms, products, wide } from '../../support/decoder-forms.ts';
import { type BlockTable, blockTable } from '../../support/embedding-spellings.ts';
import { type Build, builds } from '../../support/kernels.ts';
import { OrtRun } from '../../support/ort-run.ts';
import {
  dequantised,
  dynamicMatMul,
  matMulInteger,
  matMulIntegerToFloat,
  type Product,
} from '../../support/product-spellings.ts';
import { type TinyParts, tiny, tinyBytes } from '../../support/tiny-decoder.ts';

vi.setConfig({ testTimeout: 60_000 }); // ONNX Runtime's code is compiled further while it runs

const kernels = compileKernels();
const contextLength = tiny.context;

/** A prompt, then tokens one by one and a few at once, into the second page of the cache. */
const runs = [27, 1, 1, 6, 1].map((count, run) =>
  Array.from({ length: count }, (_, i) => ((i + run) * 7 + 3) % tiny.vocab),
);

/** ONNX Runtime rounds activations to bytes here and our exact arithmetic does not: it gets what is not rounded. */
const rounded: Record<string, [rounded: Product, exact: Product]> = {
  MatMulInteger: [matMulInteger({}), dequantised({})],
  'MatMulInteger by channel': [
    matMulInteger({ isByChannel: true, isSigned: true }),
    dequantised({ isByChannel: true, isSigned: true }),
  ],
  DynamicQuantizeMatMul: [
    dynamicMatMul({ isByChannel: true, isSigned: true }),
    dequantised({ isByChannel: true, isSigned: true, hasBias: true }),
  ],
  MatMulIntegerToFloat: [
    matMulIntegerToFloat({ isByChannel: true }),
    dequantised({ isByChannel: true, hasBias: true }),
  ],
};

/** ONNX Runtime Web has no `GatherBlockQuantized` on WebAssembly: it gets the numbers themselves. */
const tables: Record<string, BlockTable> = {
  '4 bits': { columns: 32, blockSize: 16 },
  '4 bits with zero points': { columns: 96, blockSize: 32, hasZeroPoints: true },
  '8 bits': { columns: 64, bits: 8, blockSize: 32 },
  '8 bits with zero points': { columns: 64, bits: 8, blockSize: 64, hasZeroPoints: true },
};

// Compiles ONNX Runtime, and our kernels.
beforeAll(async () => {
  await kernels;
  await (await OrtRun.open(tinyBytes())).release();
}, 120_000);

describe.each(Object.entries({ families, attentions, products, embeddings, norms, functions }))('%s', (_, forms) => {
  test.each(Object.keys(forms))('%s', async (name) => agree(bytesOf(forms[name]!)));
});

test.each(Object.keys(rounded))('activations rounded by %s', async (name) => {
  const [graph, twin] = rounded[name]!.map((times) => bytesOf(multiplied(times, wide)));
  await agree(graph!, twin!);
});

test('matrices in Constant nodes that share a name', async () => agree(withConstants(bytesOf({}))));

test.each(Object.keys(tables))('GatherBlockQuantized of %s', async (name) => {
  const { columns } = tables[name]!;
  const [graph, twin] = [false, true].map((isTwin) =>
    bytesOf({ sizes: { hidden: columns }, embed: blockTable(tables[name]!, isTwin) }),
  );
  await agree(graph!, twin!);
});

/** `GroupQueryAttention` of ONNX Runtime turns heads of a multiple of 16 only. */
function bytesOf(parts: TinyParts): Uint8Array {
  return tinyBytes({ ...parts, sizes: { headDim: 16, ...parts.sizes } });
}

/** Matrices are nodes, as some exporters write them, and all tensors have the same name. */
function withConstants(bytes: Uint8Array): Uint8Array {
  const model = readModel(bytes);
  const { graph } = model;
  const isMatrix = ({ dims }: TensorProto) => dims.length === 2;
  const nodes = graph.initializer.filter(isMatrix).map((tensor) => {
    const t = create(TensorProtoSchema, { ...tensor, name: 'value' });
    const attribute = [create(AttributeProtoSchema, { name: 'value', type: AttributeProto_AttributeType.TENSOR, t })];
    return create(NodeProtoSchema, { opType: 'Constant', output: [tensor.name], attribute });
  });
  graph.initializer = graph.initializer.filter((tensor) => !isMatrix(tensor));
  graph.node.unshift(...nodes);
  return writeModel(model);
}

/** `twin` is what ONNX Runtime is given. */
async function agree(graph: Uint8Array, twin = graph): Promise<void> {
  const ort = await OrtRun.open(twin);
  const expected: Float32Array[] = [];
  for (const tokens of runs) expected.push(await ort.forward(tokens));
  await ort.release();
  expect(Math.max(...expected[0]!.map(Math.abs))).toBeGreaterThan(0.5);
  for (const build of builds) {
    const decoder = await open(graph, build);
    const cache = decoder.createCache();
    for (const [i, tokens] of runs.entries()) {
      const { logits } = await decoder.forward(cache, tokens, { logits: 'all' });
      expect(worst(logits, expected[i]!), `${build} build, run ${i}`).toBeLessThan(1e-4);
    }
    await expectWeights(decoder);
  }
}

async function open(graph: Uint8Array, build: Build): Promise<SimdDecoder> {
  const plan = compileDecoder(readModel(graph), { contextLength });
  return openSimdDecoder(
    { plan, externalData: [], kernels: { [build]: (await kernels)[build] }, contextLength },
    { arithmetic: 'float32', cachePrecision: 'float32', cacheLimitBytes: 2 ** 24 },
  );
}

/** Rows sum to 1, or to less where sinks take a part. */
async function expectWeights(decoder: SimdDecoder): Promise<void> {
  const tokens = runs.flat();
  const inspection = await createInspection(decoder, tokens);
  for (const [layer, { sinks }] of decoder.attention.entries())
    for (let head = 0; head < decoder.heads; head++) {
      const weights = inspection.map(layer, head);
      for (let row = 0; row < tokens.length; row++) {
        const sum = weights.slice(row * tokens.length, (row + 1) * tokens.length).reduce((a, b) => a + b, 0);
        if (sinks) expect(sum).toBeLessThan(1);
        else expect(sum).toBeCloseTo(1, 5);
      }
    }
}

function worst(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!) / Math.max(1, Math.abs(b[i]!))), 0);
}
