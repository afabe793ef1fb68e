/**
 * Reads the files of one load for the engine worker: each chunk goes on to it as soon as it is there, so that a file is
 * in memory once. Size and SHA-256 are checked on the way.
 */
import { AppError, throwIfAborted } from '../../src/shared/app-error.ts';
import type { FileContract, LoadProgress, LoadRequest } from '../../src/shared/engine-contract.ts';
import { type Handlers, type Params, Transfer } from '../../src/shared/peer.ts';
import { ChunkFiller } from './chunk-filler.ts';
import { createHashCheck, type ExpectedHash } from './hash-check.ts';

export interface FileServiceOptions {
  readonly files: LoadRequest['files'];
  /** Address of the folder of the extension's own WebAssembly. */
  readonly distUrl: string;
  /** Bytes of all files together; the total grows with those whose size was not known. */
  readonly onProgress: (progress: LoadProgress) => void;
}

interface SourceFile extends ExpectedHash {
  readonly path: string;
  readonly url: string;
  readonly sizeBytes?: number | undefined;
  /** An error that says of this file what is wrong with it. */
  fault(what: string): AppError;
}

/** @throws AppError `model-damaged`, naming the file that is missing, truncated, too long or altered. */
export function serveModelFiles(options: FileServiceOptions): Handlers<FileContract> {
  const known = options.files.reduce((sum, file) => sum + (file.sizeBytes ?? 0), 0);
  let done = 0;
  return {
    readFile: async (wanted, { signal, progress }) => {
      const file = findFile(wanted, options);
      const report = (phase: 'fetch' | 'verify', verb: string) =>
        options.onProgress({ phase, done, total: Math.max(known, done), message: `${verb} ${baseName(file.path)}` });
      const onBytes = (count: number) => {
        done += count;
        report('fetch', 'Reading');
      };
      onBytes(0);
      const hash = createHashCheck(file);
      let sizeBytes = 0;
      for await (const chunk of readChunks(file, signal, onBytes)) {
        sizeBytes += chunk.byteLength;
        const hashed = hash?.add(chunk);
        progress(new Transfer({ chunk }, [chunk]));
        await hashed;
      }
      if (!hash) return { sizeBytes };
      report('verify', 'Checking');
      if (!(await hash.isRight()))
        throw file.fault('has been altered: its SHA-256 is not the one it was published with');
      return { sizeBytes };
    },
  };
}

function findFile({ folder, path }: Params<FileContract, 'readFile'>, options: FileServiceOptions): SourceFile {
  if (folder === 'runtime') {
    const fault = (what: string) =>
      new AppError('engine-failed', `The file ${path} of Glasshead ${what}. Reinstall the extension.`);
    return { path, url: `${options.distUrl}/${path}`, fault };
  }
  const remedy = 'Reinstall Glasshead if it is a bundled model, or copy the file again, and reload.';
  const fault = (what: string) => new AppError('model-damaged', `The model file ${path} ${what}. ${remedy}`);
  const found = options.files.find((file) => file.path === path);
  if (!found) throw fault('is missing');
  return { ...found, fault };
}

async function* readChunks(
  file: SourceFile,
  signal: AbortSignal,
  onBytes: (count: number) => void,
): AsyncGenerator<ArrayBuffer> {
  const reader = await open(file, signal);
  const filler = new ChunkFiller();
  const expected = `${file.sizeBytes?.toLocaleString('en')} bytes`;
  const { sizeBytes = Number.POSITIVE_INFINITY } = file;
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((thrown) => {
        throwIfAborted(signal);
        throw file.fault(`could not be read to its end (${String(thrown)})`);
      });
      throwIfAborted(signal);
      if (done) break;
      length += value.byteLength;
      if (length > sizeBytes) throw file.fault(`is longer than the ${expected} it should have`);
      onBytes(value.byteLength);
      yield* filler.add(value);
    }
    if (file.sizeBytes !== undefined && length < sizeBytes)
      throw file.fault(`is truncated: ${length.toLocaleString('en')} of ${expected}`);
    yield* filler.finish();
  } finally {
    void reader.cancel().catch(() => undefined); // of a file that is read no further
  }
}

async function open(file: SourceFile, signal: AbortSignal): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await fetch(file.url, { signal }).catch((thrown) => {
    throwIfAborted(signal);
    throw file.fault(`cannot be read (${String(thrown)})`);
  });
  if (response.status === 404) throw file.fault('is missing');
  if (!response.ok) throw file.fault(`cannot be read (status ${response.status})`);
  if (!response.body) throw file.fault('is empty');
  return response.body.getReader();
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
