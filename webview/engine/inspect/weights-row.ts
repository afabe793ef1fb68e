/** A row of attention: products of a query with keys, and softmax over scores. */

/** Products of `query` [dim] with `keys` [key, dim] from key `first` on; four sums at once keep the processor busy. */
export function products(query: Float32Array, keys: Float32Array, first: number, out: Float32Array): void {
  const size = query.length;
  const whole = size - (size % 4);
  for (let j = 0; j < out.length; j++) {
    const at = (first + j) * size;
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < whole; i += 4) {
      a += query[i]! * keys[at + i]!;
      b += query[i + 1]! * keys[at + i + 1]!;
      c += query[i + 2]! * keys[at + i + 2]!;
      d += query[i + 3]! * keys[at + i + 3]!;
    }
    for (let i = whole; i < size; i++) a += query[i]! * keys[at + i]!;
    out[j] = a + b + (c + d);
  }
}

/** In place; `sink` joins the sum and has no column. A row in which everything is hidden is no number, as in the graph. */
export function softmax(row: Float32Array, sink = Number.NEGATIVE_INFINITY): void {
  let max = sink;
  for (const score of row) if (score > max || Number.isNaN(score)) max = score;
  let sum = sink === Number.NEGATIVE_INFINITY ? 0 : Math.exp(sink - max);
  for (let j = 0; j < row.length; j++) {
    const weight = Math.exp(row[j]! - max);
    row[j] = weight;
    sum += weight;
  }
  for (let j = 0; j < row.length; j++) row[j] = row[j]! / sum;
}
