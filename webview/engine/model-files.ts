/** The files of one model folder by what they are for. A file that is missing or broken is named. */
import { AppError } from '../../src/shared/app-error.ts';
import type { WorkerLoadRequest } from '../../src/shared/engine-contract.ts';

interface NamedBytes {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export class ModelFiles {
  readonly #files: ReadonlyMap<string, ArrayBuffer>;

  constructor(files: WorkerLoadRequest['files']) {
    this.#files = new Map(files.map(({ path, bytes }) => [path, bytes]));
  }

  /** Parsed, or undefined when there is no such file. */
  json(path: string): unknown {
    const text = this.text(path);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw damaged(`The model file ${path} is not JSON: it is truncated or was altered.`, cause);
    }
  }

  requiredJson(path: string): unknown {
    return this.json(path) ?? missing(path);
  }

  text(path: string): string | undefined {
    const bytes = this.#files.get(path);
    return bytes && new TextDecoder().decode(bytes);
  }

  /** The one graph of a decoder. */
  get graph(): NamedBytes {
    const graphs = this.#matching((path) => path.endsWith('.onnx'));
    return graphs.find(({ path }) => path.startsWith('onnx/')) ?? graphs[0] ?? missing('onnx/model.onnx');
  }

  get externalData(): NamedBytes[] {
    return this.#matching((path) => /\.onnx_data(_\d+)?$|\.data$/.test(path));
  }

  /** The build of ONNX Runtime that the page chose. */
  get ortWasm(): ArrayBuffer {
    const [path] = [...this.#files.keys()].filter((name) => /^ort[^/]*\.wasm$/.test(name));
    return this.#files.get(path ?? '') ?? missing('ort.wasm');
  }

  #matching(isWanted: (path: string) => boolean): NamedBytes[] {
    return [...this.#files].flatMap(([path, bytes]) =>
      isWanted(path) ? [{ path, bytes: new Uint8Array(bytes) }] : [],
    );
  }
}

function missing(path: string): never {
  throw damaged(`The model file ${path} is missing.`);
}

function damaged(what: string, cause?: unknown): AppError {
  return new AppError('model-damaged', `${what} Reload the model; if that does not help, install it again.`, { cause });
}
