/** Gets files from the Model page: a worker made from a blob cannot fetch. */
import { AppError } from '../../src/shared/app-error.ts';
import type { FileContract } from '../../src/shared/engine-contract.ts';
import type { Caller, Params } from '../../src/shared/peer.ts';
import { ByteFile } from './byte-file.ts';

export type ReadFile = (file: Params<FileContract, 'readFile'>) => Promise<ByteFile>;

/**
 * Reads through the page, one file at a time or several at once; `signal` ends the page's fetch too.
 *
 * @throws AppError of the page, `model-damaged` for instance; `protocol` when a chunk was lost on the way.
 */
export function readThrough(page: Caller<FileContract>, signal: AbortSignal): ReadFile {
  return async (file) => {
    const chunks: ArrayBuffer[] = [];
    const { sizeBytes } = await page.call('readFile', file, {
      signal,
      onProgress: ({ chunk }) => void chunks.push(chunk),
    });
    const arrived = new ByteFile(chunks);
    if (arrived.sizeBytes === sizeBytes) return arrived;
    const loss = `${arrived.sizeBytes} of ${sizeBytes} bytes of ${file.path} arrived`;
    throw new AppError('protocol', `Only ${loss} in the engine worker. Load the model again.`);
  };
}
