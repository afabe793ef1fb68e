/** Fetches a model's files into memory, with progress, and checks the size and SHA-256 of each. */
import { AppError, throwIfAborted } from '../../src/shared/app-error.ts';
import type { LoadProgress, LoadRequest } from '../../src/shared/engine-contract.ts';

type ModelFile = LoadRequest['files'][number];

export interface FetchedFile {
  readonly path: string;
  readonly bytes: ArrayBuffer;
}

interface FetchOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: LoadProgress) => void;
}

const remedy = 'Reinstall Glasshead if it is a bundled model, or copy the file again, and reload.';

/** @throws AppError `model-damaged`, naming the first file that is missing, truncated, too long or altered. */
export async function fetchModelFiles(files: readonly ModelFile[], options: FetchOptions): Promise<FetchedFile[]> {
  const total = files.reduce((sum, file) => sum + (file.sizeBytes ?? 0), 0);
  const fetched: FetchedFile[] = [];
  let before = 0;
  for (const file of files) {
    const report = (phase: 'fetch' | 'verify', verb: string, here: number) => {
      const done = before + here;
      options.onProgress({ phase, done, total: Math.max(total, done), message: `${verb} ${baseName(file.path)}` });
    };
    report('fetch', 'Reading', 0);
    const bytes = await fetchFile(file, options.signal, (done) => report('fetch', 'Reading', done));
    throwIfAborted(options.signal);
    if (file.sha256) {
      report('verify', 'Checking', bytes.byteLength);
      await checkHash(file, bytes);
      throwIfAborted(options.signal);
    }
    before += bytes.byteLength;
    fetched.push({ path: file.path, bytes });
  }
  return fetched;
}

async function fetchFile(file: ModelFile, signal: AbortSignal, onDone: (bytes: number) => void): Promise<ArrayBuffer> {
  const reader = await open(file, signal);
  const chunks = file.sizeBytes === undefined ? growing() : fixed(file.path, file.sizeBytes);
  for (;;) {
    const { done, value } = await reader.read().catch((thrown) => {
      throwIfAborted(signal);
      throw damaged(file, `could not be read to its end (${String(thrown)})`);
    });
    if (done) return chunks.finish();
    onDone(chunks.add(value));
  }
}

async function open(file: ModelFile, signal: AbortSignal): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await fetch(file.url, { signal }).catch((thrown) => {
    throwIfAborted(signal);
    throw damaged(file, `cannot be read (${String(thrown)})`);
  });
  if (response.status === 404) throw damaged(file, 'is missing');
  if (!response.ok) throw damaged(file, `cannot be read (status ${response.status})`);
  if (!response.body) throw damaged(file, 'is empty');
  return response.body.getReader();
}

interface Chunks {
  /** Returns how many bytes there are now. */
  add(chunk: Uint8Array): number;
  finish(): ArrayBuffer;
}

/** One buffer of the right size from the start: twice 100 MB would be too much in a webview. */
function fixed(path: string, sizeBytes: number): Chunks {
  const bytes = new Uint8Array(sizeBytes);
  let length = 0;
  const expected = `${sizeBytes.toLocaleString('en')} bytes`;
  return {
    add: (chunk) => {
      if (length + chunk.byteLength > sizeBytes)
        throw damaged({ path }, `is longer than the ${expected} it should have`);
      bytes.set(chunk, length);
      length += chunk.byteLength;
      return length;
    },
    finish: () => {
      if (length === sizeBytes) return bytes.buffer;
      throw damaged({ path }, `is truncated: ${length.toLocaleString('en')} of ${expected}`);
    },
  };
}

function growing(): Chunks {
  const parts: Uint8Array[] = [];
  let length = 0;
  return {
    add: (chunk) => {
      parts.push(chunk);
      length += chunk.byteLength;
      return length;
    },
    finish: () => {
      const bytes = new Uint8Array(length);
      let at = 0;
      for (const part of parts) {
        bytes.set(part, at);
        at += part.byteLength;
      }
      return bytes.buffer;
    },
  };
}

async function checkHash(file: ModelFile, bytes: ArrayBuffer): Promise<void> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const hex = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  if (hex !== file.sha256) throw damaged(file, 'has been altered: its SHA-256 is not the one it was published with');
}

function damaged(file: { readonly path: string }, what: string): AppError {
  return new AppError('model-damaged', `The model file ${file.path} ${what}. ${remedy}`);
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
