/** Rotary position embedding (arXiv:2104.09864) as GroupQueryAttention applies it to its queries. */

export interface RotaryCache {
  /** [position, half]; half may be less than headDim / 2: the rest of a head is left as it is. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  readonly half: number;
  /** Pairs are neighbours (2i, 2i + 1) instead of (i, i + half). */
  readonly isInterleaved: boolean;
}

export interface HeadRows {
  readonly heads: number;
  readonly headDim: number;
  /** Numbers from one token to the next, and where the first head starts. */
  readonly stride: number;
}

/**
 * Rows [token, stride] as the graph holds them, turned to [head, token, headDim] and rotated, the first token standing
 * at position `start`.
 */
export function rotatedHeads(
  rows: Float32Array,
  { heads, headDim, stride }: HeadRows,
  rotary: RotaryCache | undefined,
  start: number,
): Float32Array {
  const tokens = rows.length / stride;
  const turned = new Float32Array(heads * tokens * headDim);
  for (let head = 0; head < heads; head++)
    for (let token = 0; token < tokens; token++) {
      const from = token * stride + head * headDim;
      const to = (head * tokens + token) * headDim;
      turned.set(rows.subarray(from, from + headDim), to);
      if (rotary) rotate(turned.subarray(to, to + headDim), rotary, start + token);
    }
  return turned;
}

function rotate(vector: Float32Array, { cos, sin, half, isInterleaved }: RotaryCache, position: number): void {
  for (let i = 0; i < half; i++) {
    const [a, b] = isInterleaved ? [2 * i, 2 * i + 1] : [i, i + half];
    const [c, s] = [cos[position * half + i]!, sin[position * half + i]!];
    const [x, y] = [vector[a]!, vector[b]!];
    vector[a] = x * c - y * s;
    vector[b] = x * s + y * c;
  }
}
