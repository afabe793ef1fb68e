/** The files of one model folder by what they are for, read when they are asked for. One that is missing or broken is named. */
import { AppError } from '../../src/shared/app-error.ts';
import type { RuntimeFile, WorkerLoadRequest } from '../../src/shared/engine-contract.ts';
import type { ByteFile } from './byte-file.ts';
import type { ReadFile } from './read-file.ts';

interface NamedBytes {
  readonly path: string;
  readonly bytes: Uint8Array;
}

interface OpenGraph extends NamedBytes {
  /** Named relative to the graph's folder, as the graph names it. */
  readonly externalData: readonly NamedFile[];
}

interface NamedFile {
  readonly path: string;
  readonly file: ByteFile;
}

export class ModelFiles {
  readonly #paths: readonly string[];
  readonly #readFile: ReadFile;
  /** Of graphs and their weights, where known. */
  readonly sizeOfGraphs: number;

  constructor(files: WorkerLoadRequest['files'], readFile: ReadFile) {
    this.#paths = files.map(({ path }) => path);
    const sizes = files.map(({ path, sizeBytes = 0 }) => (/\.onnx|\.data$/.test(path) ? sizeBytes : 0));
    this.sizeOfGraphs = sizes.reduce((sum, size) => sum + size, 0);
    this.#readFile = readFile;
  }

  /** Parsed, or undefined when there is no such file. */
  async json(path: string): Promise<unknown> {
    const text = await this.text(path);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw damaged(`The model file ${path} is not JSON: it is truncated or was altered.`, cause);
    }
  }

  async requiredJson(path: string): Promise<unknown> {
    return (await this.json(path)) ?? missing(path);
  }

  async text(path: string): Promise<string | undefined> {
    if (!this.#paths.includes(path)) return undefined;
    const file = await this.#readFile({ folder: 'model', path });
    return new TextDecoder().decode(file.whole());
  }

  /** The one graph of a decoder. */
  async graph(): Promise<NamedBytes> {
    const graphs = this.#paths.filter((path) => path.endsWith('.onnx'));
    const path = graphs.find((one) => one.startsWith('onnx/')) ?? graphs[0] ?? missing('onnx/model.onnx');
    const file = await this.#readFile({ folder: 'model', path });
    return { path, bytes: file.whole() };
  }

  /**
   * The graph that transformers.js asks for under its own name, whatever the precision: of the decoder for
   * `decoder_model_merged`, with a cache or without, else the other one.
   */
  async graphNamed(name: string): Promise<OpenGraph> {
    const isDecoder = (one: string) => one.slice(one.lastIndexOf('/') + 1).startsWith('decoder');
    const path =
      this.#paths.find((one) => one.endsWith('.onnx') && isDecoder(one) === isDecoder(name)) ??
      missing(`onnx/${name}.onnx`);
    const file = await this.#readFile({ folder: 'model', path });
    const folder = path.slice(0, path.lastIndexOf('/') + 1);
    const all = await this.externalData((one) => one.startsWith(path.slice(0, -'.onnx'.length)));
    const externalData = all.map(({ path: one, file: weights }) => ({ path: one.slice(folder.length), file: weights }));
    return { path, bytes: file.whole(), externalData };
  }

  async externalData(isWanted: (path: string) => boolean = () => true): Promise<NamedFile[]> {
    const found: NamedFile[] = [];
    for (const path of this.#paths)
      if (/\.onnx_data(_\d+)?$|\.data$/.test(path) && isWanted(path))
        found.push({ path, file: await this.#readFile({ folder: 'model', path }) });
    return found;
  }

  /** Of the extension itself. */
  async runtimeFile(path: RuntimeFile): Promise<ArrayBuffer> {
    const file = await this.#readFile({ folder: 'runtime', path });
    return file.whole().buffer;
  }
}

function missing(path: string): never {
  throw damaged(`The model file ${path} is missing.`);
}

function damaged(what: string, cause?: unknown): AppError {
  return new AppError('model-damaged', `${what} Reload the model; if that does not help, install it again.`, { cause });
}
