/** The residual stream read through the output layer: after each layer (logit lens), and head by head (attribution). */
import { AppError } from '../app-error.ts';
import { divergenceBits, entropyBits, logSoftmax } from './distributions.ts';

export interface FinalNorm {
  /** `rms`: x / √(mean x² + ε) · scale. `layer`: (x - mean) / √(variance + ε) · scale + bias. `none`: x. */
  readonly kind: 'rms' | 'layer' | 'none';
  /** [width]; 1 by default. Gemma's `1 + weight` is added up by the caller. */
  readonly scale?: ArrayLike<number>;
  /** [width], of `layer` only. */
  readonly bias?: ArrayLike<number>;
  readonly epsilon?: number;
}

/** Logits [vocabulary] of a normalised residual [width], softcap included. */
export type Unembed = (normalised: Float64Array<ArrayBuffer>) => ArrayLike<number>;

export interface LensLayer {
  /** ln p of each token, [vocabulary]. */
  readonly logProbabilities: Float64Array<ArrayBuffer>;
  readonly entropyBits: number;
  /** KL(last ‖ this) in bits, 0..∞: what reading this layer instead of the last loses. 0 for the last. */
  readonly divergenceBits: number;
}

/**
 * The logit lens: final norm and unembedding applied to the residual stream [width] after each layer, from the first to the
 * last, at one position. nostalgebraist 2020, https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru; N. Belrose et al. 2023,
 * https://arxiv.org/abs/2303.08112. An early layer need not write in the last one's terms: a high divergence does not say that
 * the model knew nothing there.
 *
 * Throws `bad-input` for no layer, residuals of different widths, NaN.
 */
export function logitLens(residuals: readonly ArrayLike<number>[], norm: FinalNorm, unembed: Unembed): LensLayer[] {
  const width = residuals.at(-1)?.length ?? 0;
  if (width === 0 || residuals.some(({ length }) => length !== width))
    refuse('The residuals are missing or differ in width.');
  const layers = residuals.map((residual) => logSoftmax(unembed(normalise(residual, norm))));
  const last = layers.at(-1)!;
  return layers.map((logs) => ({
    logProbabilities: logs,
    entropyBits: entropyBits(logs),
    divergenceBits: divergenceBits(last, logs),
  }));
}

/** The final norm of a residual, [width]. */
export function normalise(residual: ArrayLike<number>, norm: FinalNorm): Float64Array<ArrayBuffer> {
  const { mean, factor } = frozenNorm(residual, norm);
  return Float64Array.from(
    residual,
    (value, index) => (value - mean) * factor * (norm.scale?.[index] ?? 1) + biasOf(norm, index),
  );
}

export interface LogitAttribution {
  /** [part, token] what each part (a head's output, an MLP's, the embedding) adds to the token's logit. */
  readonly parts: Float64Array<ArrayBuffer>;
  /** [token] what the norm's bias adds: of no part. */
  readonly bias: Float64Array<ArrayBuffer>;
  /** [token] the logits of the whole residual, before a softcap. With all parts given, parts and bias sum to it. */
  readonly logits: Float64Array<ArrayBuffer>;
}

export interface AttributionInput {
  /** [width] the residual stream in front of the final norm: the sum of everything that was written into it. */
  readonly residual: ArrayLike<number>;
  /** [width] each: what one head (after its output projection), MLP or the embedding wrote. */
  readonly parts: readonly ArrayLike<number>[];
  readonly norm: FinalNorm;
  /** [width] each: unembedding rows of the chosen tokens. */
  readonly unembedding: readonly ArrayLike<number>[];
}

/**
 * Direct logit attribution: the final norm's mean and scale are frozen at the whole residual's, so that logits are linear in
 * the parts: Σ_i (part_i - mean part) · scale_i · u_i / σ. Elhage et al. 2021, https://transformer-circuits.pub/2021/framework;
 * Wang et al. 2023. For a logit difference, subtract two tokens' columns. What a part does through later layers is not in it.
 *
 * Throws `bad-input` for widths that differ.
 */
export function attributeLogits({ residual, parts, norm, unembedding }: AttributionInput): LogitAttribution {
  if ([...parts, ...unembedding].some(({ length }) => length !== residual.length))
    refuse(`Not every part and token has the width ${residual.length}.`);
  const { factor } = frozenNorm(residual, norm);
  const tokens = unembedding.length;
  const shares = new Float64Array(parts.length * tokens);
  parts.forEach((part, row) => {
    for (let token = 0; token < tokens; token++)
      shares[row * tokens + token] = linearLogit(part, { norm, factor, direction: unembedding[token]! });
  });
  const bias = Float64Array.from(unembedding, (row) => sumOf(row.length, (index) => biasOf(norm, index) * row[index]!));
  const logits = bias.map(
    (value, token) => value + linearLogit(residual, { norm, factor, direction: unembedding[token]! }),
  );
  return { parts: shares, bias, logits };
}

interface Linear {
  readonly norm: FinalNorm;
  readonly factor: number;
  readonly direction: ArrayLike<number>;
}

function linearLogit(part: ArrayLike<number>, { norm, factor, direction }: Linear): number {
  const mean = norm.kind === 'layer' ? sumOf(part.length, (index) => part[index]!) / part.length : 0;
  return factor * sumOf(part.length, (index) => (part[index]! - mean) * (norm.scale?.[index] ?? 1) * direction[index]!);
}

function frozenNorm(residual: ArrayLike<number>, { kind, scale, bias, epsilon = 1e-5 }: FinalNorm) {
  const width = residual.length;
  if ((scale && scale.length !== width) || (bias && bias.length !== width))
    refuse(`The final norm is not ${width} wide.`);
  if (kind === 'none') return { mean: 0, factor: 1 };
  const mean = kind === 'layer' ? sumOf(width, (index) => residual[index]!) / width : 0;
  const square = sumOf(width, (index) => (residual[index]! - mean) ** 2) / width;
  return { mean, factor: 1 / Math.sqrt(square + epsilon) };
}

function biasOf(norm: FinalNorm, index: number): number {
  return norm.kind === 'layer' ? (norm.bias?.[index] ?? 0) : 0;
}

function sumOf(length: number, term: (index: number) => number): number {
  let sum = 0;
  for (let index = 0; index < length; index++) sum += term(index);
  return sum;
}

function refuse(cause: string): never {
  throw new AppError('bad-input', `${cause} Give residuals, norm and unembedding of one model.`);
}
