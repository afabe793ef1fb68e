import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../../../src/shared/app-error.ts';
import {
  ModelProtoSchema,
  NodeProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
} from '../../../../webview/engine/graph/onnx_pb.js';
import { type OnnxModel, readModel } from '../../../../webview/engine/graph/onnx-model.ts';
import { tapGraph } from '../../../../webview/engine/graph/tap-graph.ts';
import { families } from '../../support/decoder-families.ts';
import { GraphBuilder } from '../../support/graph-builder.ts';
import { any, mutations } from '../../support/graph-mutations.ts';
import { createRandom } from '../../support/random.ts';
import { causalMask, plain, width } from '../../support/softmax-spellings.ts';
import { type TinyParts, tinyBytes } from '../../support/tiny-decoder.ts';

function layered(layers: number): Uint8Array {
  const graph = new GraphBuilder();
  let x = graph.input('x', 'float', ['batch', 'tokens', width]);
  for (let layer = 0; layer < layers; layer++) {
    const { output } = plain(graph, x, { kvHeads: 2, scores: (g, s) => g.node('Add', [s, causalMask(g, x)]) });
    x = graph.node('Add', [x, graph.node('MatMul', [output, graph.random([width, width])])]);
  }
  graph.output(x);
  return graph.bytesOfModel();
}

const small = layered(2);

function changed(change: (model: OnnxModel) => void): Uint8Array {
  const model = readModel(small);
  change(model);
  return toBinary(ModelProtoSchema, model.proto);
}

function external(location: string, offset = '0'): Uint8Array {
  return changed(({ graph }) => {
    const [tensor] = graph.initializer;
    tensor!.dataLocation = TensorProto_DataLocation.EXTERNAL;
    tensor!.externalData = Object.entries({ location, offset }).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    );
  });
}

const refusals: Record<string, [graph: Uint8Array, names: RegExp]> = {
  'a file that is cut': [small.subarray(0, small.length / 2), /not a valid ONNX file|operators/],
  'a file of nothing': [new Uint8Array(0), /no operators/],
  'operators in a circle': [
    changed(({ graph }) => {
      graph.node[0]!.input[0] = graph.node.at(-1)!.output[0]!;
    }),
    /n\d+ reads, over others, what it computes/,
  ],
  'a tensor that two operators compute': [
    changed(({ graph }) => {
      graph.node[3]!.output[0] = graph.node[1]!.output[0]!;
    }),
    /n\d+ computes n\d+_MatMul_0, which is there already|computes .* which is there already/,
  ],
  'a constant that is there twice': [
    changed(({ graph }) => {
      graph.initializer.push(graph.initializer[0]!);
    }),
    /constant c\d+ is there twice/,
  ],
  'weights above the folder': [external('../secrets.bin'), /model\.onnx is refused.*'\.\.\/secrets\.bin'/],
  'weights above the folder, by a detour': [external('data/../../x'), /refused/],
  'weights in the root': [external('/etc/passwd'), /refused/],
  'weights on a drive': [external('C:/x'), /refused/],
  'weights at an address': [external('https://example.org/x'), /refused/],
  'weights behind a backslash': [external('..\\x'), /refused/],
  'weights without a name': [external(''), /refused/],
  'weights at no place': [external('x.bin', '-4'), /at -4 in x\.bin/],
  'bodies deep in each other': [
    changed(({ graph }) => {
      for (let depth = 0; depth < 20; depth++) {
        const body = create(ModelProtoSchema, { graph: { node: graph.node.splice(0), name: 'body' } }).graph!;
        graph.node.push(
          create(NodeProtoSchema, {
            opType: 'If',
            name: `if${depth}`,
            input: ['x'],
            attribute: [{ name: 'then_branch', g: body }],
          }),
        );
      }
    }),
    /more than 16 deep/,
  ],
  'functions that call themselves': [
    changed(({ proto, graph }) => {
      graph.node[0]!.domain = 'own';
      graph.node[0]!.opType = 'Loop';
      const call = create(NodeProtoSchema, { opType: 'Loop', domain: 'own', input: ['a'], output: ['b'] });
      proto.functions.push(
        create(ModelProtoSchema, {
          functions: [{ name: 'Loop', domain: 'own', input: ['a'], output: ['b'], node: [call, call] }],
        }).functions[0]!,
      );
    }),
    /call each other without end/,
  ],
};

describe('a graph is refused with a sentence', () => {
  test.each(Object.entries(refusals))('%s', (_, [graph, names]) => {
    const tap = () => tapGraph(graph, { path: 'model.onnx' });
    expect(tap).toThrow(AppError);
    expect(tap).toThrow(names);
    expect(tap).toThrow(expect.objectContaining({ code: 'model-damaged' }));
  });

  test('unless only its attention is damaged: the rest can still run', () => {
    const { sites } = tapGraph(
      changed(({ graph }) => {
        graph.node.find(({ opType }) => opType === 'Softmax')!.attribute[0]!.i = 1n;
      }),
    );
    expect(sites).toHaveLength(1);
  });
});

/** Work grows with the size of a graph, not with its square: counted, not timed. */
test('a graph of 10,000 operators is read in one go', () => {
  const graph = layered(320);
  const { model, sites } = tapGraph(graph);
  expect(model.graph.node.length).toBeGreaterThan(10_000);
  expect(sites.map(({ layer }) => layer)).toEqual(Array.from({ length: 320 }, (_, i) => i));
}, 10_000);

test('operators may stand in any order', () => {
  const random = createRandom(5);
  const shuffled = changed(({ graph }) => {
    for (let i = graph.node.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [graph.node[i], graph.node[j]] = [graph.node[j]!, graph.node[i]!];
    }
  });
  expect(tapGraph(shuffled).sites.map(({ layer, heads, kvHeads }) => [layer, heads, kvHeads])).toEqual([
    [0, 4, 2],
    [1, 4, 2],
  ]);
});

test('500 broken copies are tapped or refused, and nothing else happens', () => {
  const seeded = createRandom(77);
  const random = (below: number) => Math.floor(seeded() * below);
  const originals = [small, ...Object.values(families).map((parts) => tinyBytes(parts as TinyParts))];
  const outcomes = { tapped: 0, refused: 0 };
  for (let i = 0; i < 500; i++) {
    const model = readModel(any(originals, random).slice()); // constants are views into it
    for (let count = random(3); count >= 0; count--) any(Object.values(mutations), random)(model, random);
    try {
      tapGraph(model, { gates: true, patches: true, cuts: true }).toBytes();
      outcomes.tapped++;
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      expect(thrown.code).toBe('model-damaged');
      outcomes.refused++;
    }
  }
  expect(outcomes.tapped).toBeGreaterThan(100);
  expect(outcomes.refused).toBeGreaterThan(20);
}, 60_000);

test('500 files with broken bytes are tapped or refused', () => {
  const seeded = createRandom(78);
  const random = (below: number) => Math.floor(seeded() * below);
  for (let i = 0; i < 500; i++) {
    const bytes = small.slice();
    for (let count = random(8); count >= 0; count--) bytes[random(bytes.length)] = random(256);
    try {
      tapGraph(bytes).toBytes();
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
    }
  }
}, 60_000);
