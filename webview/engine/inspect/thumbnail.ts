/** Small pictures of a head's map. Pure. */

export interface ThumbnailFrame {
  readonly queries: number;
  readonly keys: number;
  /** Cells on each side. */
  readonly size: number;
}

/**
 * Each cell the largest weight of the queries and keys that it covers, 0..255 for 0..1: [row, column]. `forEachRow` calls
 * back with the weights of each query from `firstKey` on; keys outside are 0.
 */
export function drawThumbnail(
  { queries, keys, size }: ThumbnailFrame,
  forEachRow: (onRow: (query: number, row: Float32Array, firstKey: number) => void) => void,
  pixels: Uint8Array,
): void {
  const columnMax = new Float32Array(size);
  forEachRow((query, row, firstKey) => {
    columnMax.fill(0);
    for (let j = 0; j < row.length; j++) {
      const [from, to] = cells(firstKey + j, keys, size);
      for (let column = from; column < to; column++) columnMax[column] = Math.max(columnMax[column]!, row[j]!);
    }
    const [top, bottom] = cells(query, queries, size);
    for (let line = top; line < bottom; line++)
      for (let column = 0; column < size; column++) {
        const at = line * size + column;
        pixels[at] = Math.max(pixels[at]!, Math.round(columnMax[column]! * 255));
      }
  });
}

/** The cells of a line of `size` that token `index` of `n` overlaps: from inclusive, to exclusive. */
function cells(index: number, n: number, size: number): [number, number] {
  return [Math.floor((index * size) / n), Math.ceil(((index + 1) * size) / n)];
}
