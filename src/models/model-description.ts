/** What is known of a model before it is loaded. */
export interface ModelDescription {
  /** Stable: verdicts and caches are kept under it. */
  readonly id: string;
  readonly name: string;
  /** SPDX identifier, where known. */
  readonly license?: string;
  readonly role: 'generate' | 'encode';
  readonly files: readonly ModelFile[];
}

export interface ModelFile {
  /** Path inside the model's folder. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Lower-case hex; files of the user's own folder have none. */
  readonly sha256?: string;
  /** Of large files; see `engine-contract.ts`. */
  readonly chunksSha256?: string;
}

export function sizeOf({ files }: ModelDescription): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
