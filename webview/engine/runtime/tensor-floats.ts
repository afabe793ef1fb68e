/** Float tensors as Float32Array, whatever their type and wherever they are. */
import type { Tensor } from 'onnxruntime-web';
import { halfToFloat } from '../graph/half.ts';

/** Shares memory with the tensor when it is float32 in JavaScript memory; downloads it when it is on the GPU. */
export async function tensorFloats(tensor: Tensor): Promise<Float32Array> {
  const data = tensor.location === 'cpu' ? tensor.data : await tensor.getData();
  if (data instanceof Float32Array) return data;
  if (tensor.type === 'float16' && data instanceof Uint16Array) return halfToFloat(data);
  return Float32Array.from(data as Iterable<number>); // Float16Array, where there is one
}
