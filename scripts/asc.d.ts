/** What scripts/kernels.mjs uses of AssemblyScript, whose own types declare a `require` of theirs for every file. */
export function main(
  args: readonly string[],
  options: { writeFile(name: string, contents: string | Uint8Array): void },
): Promise<{ readonly error: Error | null; readonly stderr: { toString(): string } }>;
