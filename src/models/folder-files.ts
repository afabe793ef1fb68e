/** Chooses among the files of a model folder those that are loaded: one graph, its weights, the small files beside it. */
import type { ModelFile } from './model-description.ts';

export type FolderFiles = { readonly files: readonly ModelFile[] } | { readonly missing: readonly string[] };

/** Smaller weights first; what has none of these names comes after them. As transformers.js names its exports. */
const preferred = ['model_q4', 'model_int8', 'model_quantized', 'model_uint8', 'model_q4f16', 'model_fp16', 'model'];

const small = /^[^/]+\.(json|jinja|txt)$/i;

export function chooseFiles(files: readonly ModelFile[]): FolderFiles {
  const paths = new Set(files.map(({ path }) => path));
  const graph = files
    .filter(({ path }) => path.endsWith('.onnx'))
    .toSorted((a, b) => rankOf(a.path) - rankOf(b.path) || a.path.localeCompare(b.path))[0];
  const missing = ['config.json', 'tokenizer.json'].filter((name) => !paths.has(name));
  if (missing.length > 0 || !graph) return { missing: graph ? missing : [...missing, '.onnx file'] };
  // Weights beside a graph: model.onnx_data, model.onnx_data_1, model.onnx.data, model.data
  const stem = graph.path.slice(0, -'.onnx'.length);
  const isWeights = (path: string) =>
    path.startsWith(`${graph.path}_data`) || path === `${graph.path}.data` || path === `${stem}.data`;
  return { files: files.filter((file) => small.test(file.path) || file === graph || isWeights(file.path)) };
}

function rankOf(path: string): number {
  const name = path.slice(path.lastIndexOf('/') + 1, -'.onnx'.length);
  const rank = preferred.indexOf(name);
  return rank === -1 ? preferred.length : rank;
}
