/** How far two sets of logits for the same tokens are apart. */

export interface LogitsDifference {
  readonly rows: number;
  /** Rows with the same most probable token; a tie within a ten-thousandth of the range counts. */
  readonly sameTop: number;
  /** The largest difference of a row, as a part of that row's range (largest minus smallest logit). */
  readonly ofRange: number;
  /** The largest difference. */
  readonly absolute: number;
}

const tieOfRange = 1e-4;

/** Both [row, vocabSize]. A number that is not finite makes the difference infinite. */
export function compareLogits(reference: Float32Array, other: Float32Array, vocabSize: number): LogitsDifference {
  const rows = reference.length / vocabSize;
  if (other.length !== reference.length) return { rows, sameTop: 0, ofRange: Infinity, absolute: Infinity };
  let [sameTop, ofRange, absolute] = [0, 0, 0];
  for (let row = 0; row < rows; row++) {
    const start = row * vocabSize;
    let [min, max, otherTop, worst] = [Infinity, -Infinity, start, 0];
    for (let i = start; i < start + vocabSize; i++) {
      const value = reference[i]!;
      if (value < min) min = value;
      if (value > max) max = value;
      if (other[i]! > other[otherTop]!) otherTop = i;
      const difference = Math.abs(value - other[i]!);
      worst = difference <= worst ? worst : Number.isNaN(difference) ? Infinity : difference;
    }
    const range = max - min || 1;
    if (max - reference[otherTop]! <= tieOfRange * range) sameTop++;
    ofRange = Math.max(ofRange, worst / range);
    absolute = Math.max(absolute, worst);
  }
  return { rows, sameTop, ofRange, absolute };
}

/** What a device must reach to be used: the top token at every position, logits within 1 % of the range. */
export function isSameModel({ rows, sameTop, ofRange }: LogitsDifference): boolean {
  return sameTop === rows && ofRange <= 1e-2;
}
