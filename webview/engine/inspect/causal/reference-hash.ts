/** Tells by a short name whether a set of texts is the same: FNV-1a, 64 bits (Fowler, Noll and Vo), over lengths and token ids. */
export function hashOf(texts: readonly (readonly number[])[]): string {
  let hash = 0xcbf29ce484222325n;
  const add = (word: number) => {
    for (let shift = 0; shift < 32; shift += 8) {
      hash ^= BigInt((word >>> shift) & 255);
      hash = BigInt.asUintN(64, hash * 0x100000001b3n);
    }
  };
  for (const text of texts) for (const word of [text.length, ...text]) add(word);
  return hash.toString(16).padStart(16, '0');
}
