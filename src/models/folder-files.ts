/** Chooses among the files of a model folder those that are loaded: its graphs, their weights, the small files beside. */
import type { ModelFile } from './model-description.ts';

export type FolderFiles = { readonly files: readonly ModelFile[] } | { readonly missing: readonly string[] };

/** Smaller weights first; what has none of these endings comes after them. As transformers.js names its exports. */
const precisions = ['_q4', '_int8', '_quantized', '_uint8', '_q4f16', '_fp16', ''];

const small = /^[^/]+\.(json|jinja|txt)$/i;

/** A decoder with both branches before one that has no cache; one that only goes on from a cache is of no use here. */
const decoders = ['decoder_model_merged', 'decoder_model'];

export function chooseFiles(files: readonly ModelFile[]): FolderFiles {
  const paths = new Set(files.map(({ path }) => path));
  const graphs = chooseGraphs(files.filter(({ path }) => path.endsWith('.onnx')));
  // A vision model has no tokenizer, but says how it wants its pictures.
  const reader = paths.has('preprocessor_config.json') && !paths.has('tokenizer.json') ? [] : ['tokenizer.json'];
  const missing = ['config.json', ...reader].filter((name) => !paths.has(name));
  if ('missing' in graphs || missing.length > 0)
    return { missing: [...missing, ...('missing' in graphs ? graphs.missing : [])] };
  // Weights beside a graph: model.onnx_data, model.onnx_data_1, model.onnx.data, model.data
  const isWeights = (path: string) =>
    graphs.some((graph) => {
      const stem = graph.path.slice(0, -'.onnx'.length);
      return path.startsWith(`${graph.path}_data`) || path === `${graph.path}.data` || path === `${stem}.data`;
    });
  return { files: files.filter((file) => small.test(file.path) || graphs.includes(file) || isWeights(file.path)) };
}

/** One graph, or the two of an encoder-decoder; of a model of text and pictures the part that sees. */
function chooseGraphs(graphs: readonly ModelFile[]): readonly ModelFile[] | { readonly missing: readonly string[] } {
  const [encoder, vision] = [best(graphs, 'encoder_model'), best(graphs, 'vision_model')];
  if (encoder) {
    const decoder = decoders.map((stem) => best(graphs, stem)).find(Boolean);
    return decoder ? [encoder, decoder] : { missing: ['decoder_model_merged.onnx or decoder_model.onnx file'] };
  }
  const only = vision ?? graphs.toSorted(byPreference('model'))[0];
  return only ? [only] : { missing: ['.onnx file'] };
}

function best(graphs: readonly ModelFile[], stem: string): ModelFile | undefined {
  const isOf = (file: ModelFile) => nameOf(file) === stem || precisions.some((one) => nameOf(file) === stem + one);
  return graphs.filter(isOf).toSorted(byPreference(stem))[0];
}

function byPreference(stem: string) {
  return (a: ModelFile, b: ModelFile) => rankOf(a, stem) - rankOf(b, stem) || a.path.localeCompare(b.path);
}

function rankOf(file: ModelFile, stem: string): number {
  const rank = precisions.findIndex((one) => nameOf(file) === stem + one);
  return rank === -1 ? precisions.length : rank;
}

function nameOf({ path }: ModelFile): string {
  return path.slice(path.lastIndexOf('/') + 1, -'.onnx'.length);
}
