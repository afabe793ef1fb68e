/** Runs the graph of a decoder on ONNX Runtime as it is, token by token or many at once, with keys and values fed back. */
import * as ort from 'onnxruntime-web/webgpu';
import { startOrt } from '../../../webview/engine/runtime/ort-build.ts';
import { readOrtWasm } from './small-runtime.ts';

export class OrtRun {
  readonly #session: ort.InferenceSession;
  /** Inputs of the past, in the order of the outputs that continue them. */
  readonly #pastNames: readonly string[];
  #past: ort.Tensor[] = [];
  #length = 0;

  private constructor(session: ort.InferenceSession) {
    this.#session = session;
    this.#pastNames = session.inputNames.filter((name) => name.startsWith('past'));
    this.reset();
  }

  /** Of a graph whose outputs are the present of each input `past…` in their order, and then the logits. */
  static async open(graph: Uint8Array): Promise<OrtRun> {
    await startOrt(async () => readOrtWasm());
    const options = { executionProviders: ['wasm'], logSeverityLevel: 4 } as const;
    return new OrtRun(await ort.InferenceSession.create(graph, options));
  }

  /** Empties the cache. */
  reset(): void {
    this.#length = 0;
    this.#past = this.#pastNames.map((name) => {
      const info = this.#session.inputMetadata.find((candidate) => candidate.name === name);
      if (!info?.isTensor) throw new Error(`${name} is no tensor.`);
      const shape = info.shape.map((size) => (size === 'past' ? 0 : typeof size === 'string' ? 1 : size));
      return new ort.Tensor('float32', new Float32Array(0), shape);
    });
  }

  /** Appends the tokens to the cache. Returns [token, vocabulary]. */
  async forward(tokens: readonly number[]): Promise<Float32Array> {
    const total = this.#length + tokens.length;
    const ints = (values: readonly number[]) =>
      new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
    const feeds: Record<string, ort.Tensor> = {
      input_ids: ints(tokens),
      attention_mask: ints(new Array<number>(total).fill(1)),
      position_ids: ints(tokens.map((_, i) => this.#length + i)),
    };
    const used = Object.entries(feeds).filter(([name]) => this.#session.inputNames.includes(name));
    const past = this.#pastNames.map((name, i) => [name, this.#past[i]!] as const);
    const outputs = await this.#session.run(Object.fromEntries([...used, ...past]));
    const names = this.#session.outputNames;
    this.#past = names.slice(0, -1).map((name) => outputs[name]!);
    this.#length = total;
    return outputs[names.at(-1)!]!.data as Float32Array;
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}
