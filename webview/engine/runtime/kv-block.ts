/**
 * Keys and values of one sequence at one length, never changed once made: caches share them by counting references.
 * They are tensors of ONNX Runtime, in JavaScript memory or on the GPU; the GPU's are copied there, never downloaded.
 */
import type { Tensor } from 'onnxruntime-web';
import type { Ort } from './ort-build.ts';

export class KvBlock {
  readonly length: number;
  readonly sizeBytes: number;
  /** Per layer: key, value; each [1, kvHead, token, headDim]. */
  readonly #tensors: readonly Tensor[];
  #references = 1;

  constructor(tensors: readonly Tensor[], length: number) {
    this.#tensors = tensors;
    this.length = length;
    this.sizeBytes = tensors.reduce((sum, { size, type }) => sum + size * (type === 'float16' ? 2 : 4), 0);
  }

  get references(): number {
    return this.#references;
  }

  get tensors(): readonly Tensor[] {
    if (this.#references <= 0) throw new RangeError('These keys and values were freed.');
    return this.#tensors;
  }

  retain(): this {
    this.#references++;
    return this;
  }

  release(): void {
    if (--this.#references === 0) for (const tensor of this.#tensors) tensor.dispose();
  }

  /** A copy of the first `length` tokens. */
  cropped(length: number, ort: typeof Ort): KvBlock {
    const isOnGpu = this.tensors.some(({ location }) => location === 'gpu-buffer');
    const copies = isOnGpu
      ? cropOnGpu(this.tensors, length, ort)
      : this.tensors.map((t) => cropInMemory(t, length, ort));
    return new KvBlock(copies, length);
  }
}

function croppedDims(tensor: Tensor, length: number): [number, number, number, number] {
  const [batch = 1, heads = 0, , size = 0] = tensor.dims;
  return [batch, heads, length, size];
}

function cropInMemory(tensor: Tensor, length: number, ort: typeof Ort): Tensor {
  const dims = croppedDims(tensor, length);
  const [, heads, , size] = dims;
  const source = tensor.data as Float32Array;
  const stride = tensor.dims[2]! * size;
  const Data = source.constructor as Float32ArrayConstructor;
  const kept = new Data(heads * length * size);
  for (let head = 0; head < heads; head++)
    kept.set(source.subarray(head * stride, head * stride + length * size), head * length * size);
  return new ort.Tensor(tensor.type as 'float32', kept, dims);
}

/** One submission for all tensors; the queue orders it after the run that wrote them. */
function cropOnGpu(tensors: readonly Tensor[], length: number, ort: typeof Ort): Tensor[] {
  const device = ort.env.webgpu.device as unknown as GpuDevice;
  const encoder = device.createCommandEncoder();
  const copies = tensors.map((tensor) => {
    const dims = croppedDims(tensor, length);
    const [, heads, , size] = dims;
    const bytes = tensor.type === 'float16' ? 2 : 4;
    const [stride, kept] = [tensor.dims[2]! * size * bytes, length * size * bytes];
    const buffer = device.createBuffer({ size: Math.ceil((heads * kept) / 16) * 16, usage: storageAndCopies });
    for (let head = 0; head < heads; head++)
      encoder.copyBufferToBuffer(tensor.gpuBuffer as GpuBuffer, head * stride, buffer, head * kept, kept);
    const dataType = tensor.type as 'float32';
    return ort.Tensor.fromGpuBuffer(buffer as never, { dataType, dims, dispose: () => buffer.destroy() });
  });
  device.queue.submit([encoder.finish()]);
  return copies;
}

/** GPUBufferUsage.STORAGE | COPY_SRC | COPY_DST */
const storageAndCopies = 0x80 | 0x4 | 0x8;

/** The little of WebGPU that is used here; TypeScript brings no types for it. */
interface GpuBuffer {
  destroy(): void;
}
interface GpuDevice {
  createBuffer(descriptor: { size: number; usage: number }): GpuBuffer;
  createCommandEncoder(): {
    copyBufferToBuffer(from: GpuBuffer, fromOffset: number, to: GpuBuffer, toOffset: number, size: number): void;
    finish(): unknown;
  };
  queue: { submit(commands: unknown[]): void };
}
