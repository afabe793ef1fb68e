/**
 * What a mask that the graph computes means: it is computed for a few numbers of tokens, and must hide what is later and,
 * with a window, what is too early. Padding never occurs here.
 */
import type { Compilation } from './compilation.ts';
import type { Known } from './known.ts';
import { unsupported } from './refusal.ts';
import type { Tensor } from './tensor.ts';
import type { Size } from './value.ts';

/** Added to a score, this hides a key: float16's least is -65,504, and -10,000 is met. */
const hiding = -9000;
/** Keys of the longest row that is computed to find a window. */
const longestRow = 2 ** 16;

const sizes: readonly Size[] = [
  { tokens: 1, past: 0 },
  { tokens: 5, past: 0 },
  { tokens: 1, past: 9 },
  { tokens: 6, past: 5 },
];

export interface MaskMeaning {
  /** Keys that a query sees, itself included; undefined: all before it. */
  readonly window: number | undefined;
}

/**
 * `isCausal`: the operator hides later keys by itself.
 * @throws AppError `model-unsupported` for any other mask, or one that adds to scores.
 */
export function meaningOf(
  compilation: Compilation,
  mask: Known | undefined,
  isCausal: boolean,
  label: string,
): MaskMeaning {
  if (!mask) {
    if (isCausal) return { window: undefined };
    throw unsupported(`${label} lets tokens see later ones`);
  }
  const lastRow = (positions: number) => {
    const size = { tokens: 1, past: Math.min(longestRow, positions) - 1 };
    return visible(mask.at(size), size, label);
  };
  compilation.limitPositions(lastRow);
  const total = Math.min(longestRow, compilation.positions);
  const window = windowOf(lastRow(total), total);
  const rows = window !== undefined && window < 64 ? [...sizes, { tokens: window + 3, past: 2 }] : sizes;
  for (const size of rows.filter(({ tokens, past }) => tokens + past <= compilation.positions))
    check(mask.at(size), size, { window, isCausal, label });
  return { window };
}

function windowOf(isVisible: (query: number, key: number) => boolean, total: number): number | undefined {
  let window = 0;
  while (window < total && isVisible(0, total - 1 - window)) window++;
  return window === total ? undefined : window;
}

function check(
  tensor: Tensor,
  size: Size,
  { window, isCausal, label }: MaskMeaning & { isCausal: boolean; label: string },
) {
  const isVisible = visible(tensor, size, label);
  for (let query = 0; query < size.tokens; query++)
    for (let key = 0; key < size.tokens + size.past; key++) {
      const position = size.past + query;
      const isLater = key > position;
      const isExpected = !isLater && (window === undefined || key > position - window);
      if (isVisible(query, key) !== isExpected && !(isCausal && isLater))
        throw unsupported(`${label}: its attention mask is neither causal nor a window`);
    }
}

/** The same for all heads. */
function visible(tensor: Tensor, { tokens, past }: Size, label: string): (query: number, key: number) => boolean {
  const keys = tokens + past;
  const [rows = 1, columns = 1] = [tensor.dims.at(-2), tensor.dims.at(-1)];
  const isFitting = (rows === 1 || rows === tokens) && (columns === 1 || columns === keys);
  if (!isFitting) throw unsupported(`${label}: its mask [${tensor.dims.join(', ')}] is not by query and key`);
  const { data, kind } = tensor;
  const matrix = rows * columns;
  for (let i = 0; i < data.length; i++) {
    if (data[i] !== data[i % matrix]) throw unsupported(`${label}: its mask differs between heads`);
    if (kind !== 'bool' && data[i] !== 0 && !(data[i]! <= hiding))
      throw unsupported(`${label}: its mask adds to the scores of visible keys`);
  }
  return (query, key) => {
    const value = data[(rows === 1 ? 0 : query) * columns + (columns === 1 ? 0 : key)]!;
    return kind === 'bool' ? value !== 0 : value === 0;
  };
}
