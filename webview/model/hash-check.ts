/**
 * Checks a file against its SHA-256 chunk by chunk while it is read, because a digest of the whole would need it in
 * memory twice.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

export interface ExpectedHash {
  readonly sha256?: string | undefined;
  /** Of chunks of `chunkBytes`; says as much as `sha256`, and takes its place where there are both. */
  readonly chunksSha256?: string | undefined;
}

export interface HashCheck {
  /** The next chunk, which may be given away as soon as this was called. Wait for it before the one after. */
  add(chunk: ArrayBuffer): Promise<void>;
  isRight(): Promise<boolean>;
}

/** Undefined where nothing is known that could be checked. */
export function createHashCheck(expected: ExpectedHash): HashCheck | undefined {
  if (expected.chunksSha256 !== undefined) return chunksCheck(expected.chunksSha256);
  return expected.sha256 === undefined ? undefined : wholeCheck(expected.sha256);
}

/** In the browser's own code, beside this thread: a tenth of the time of the other (98 MB: 0.1 s, 0.7 to 1.5 s). */
function chunksCheck(expected: string): HashCheck {
  const digests: Uint8Array[] = [];
  return {
    add: async (chunk) => {
      digests.push(new Uint8Array(await crypto.subtle.digest('SHA-256', chunk))); // copies before it returns
    },
    isRight: async () => {
      const all = await new Blob(digests as BlobPart[]).arrayBuffer();
      return bytesToHex(new Uint8Array(await crypto.subtle.digest('SHA-256', all))) === expected;
    },
  };
}

function wholeCheck(expected: string): HashCheck {
  const hash = sha256.create();
  return {
    add: async (chunk) => void hash.update(new Uint8Array(chunk)),
    isRight: async () => bytesToHex(hash.digest()) === expected,
  };
}
