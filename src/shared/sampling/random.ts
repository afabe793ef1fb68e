/** A seeded generator of our own, so that the same seed gives the same text everywhere: xoshiro128** (Blackman, Vigna). */

export interface Random {
  /** Uniform in [0, 1), with 53 bits. */
  next(): number;
}

export function createRandom(seed: number): Random {
  const state = new Uint32Array(4);
  let mixed = seed >>> 0;
  // splitmix32, so that neighbouring seeds start far apart and no state is all zero
  for (let i = 0; i < 4; i++) {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let word = mixed ^ (mixed >>> 16);
    word = Math.imul(word, 0x21f0aaad);
    word ^= word >>> 15;
    word = Math.imul(word, 0x735a2d97);
    state[i] = word ^ (word >>> 15);
  }
  const rotate = (x: number, by: number) => (x << by) | (x >>> (32 - by));
  const nextWord = (): number => {
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = state;
    const result = Math.imul(rotate(Math.imul(s1, 5), 7), 9) >>> 0;
    const c = s2 ^ s0;
    const d = s3 ^ s1;
    state[1] = s1 ^ c;
    state[0] = s0 ^ d;
    state[2] = c ^ (s1 << 9);
    state[3] = rotate(d, 11);
    return result;
  };
  return { next: () => ((nextWord() >>> 5) * 0x4000000 + (nextWord() >>> 6)) / 0x20000000000000 };
}
