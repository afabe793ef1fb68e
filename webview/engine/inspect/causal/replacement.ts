/** What is put in place of heads' outputs: zeros, means, another text's. */
import { AppError } from '../../../../src/shared/app-error.ts';
import type { HeadOperation, HeadRef } from '../../../../src/shared/causal-contract.ts';
import { createRandom } from '../../../../src/shared/sampling/random.ts';
import type { Decoder, HeadPatch } from '../../decoder.ts';
import { captureOutputs } from './capture.ts';
import type { Trial, TrialOptions } from './trial-runner.ts';

export interface Replacement {
  /** The change that replaces these heads at the operation's positions. */
  trial(heads: readonly HeadRef[]): Trial;
  readonly drawn?: { readonly text: number; readonly isStretched: boolean };
  /** Logits of a patch's source. */
  readonly sourceLogits?: Float32Array;
}

/** Rows of outputs [row, heads * headDim] by layer, and which of them stands in at a position. */
interface Outputs {
  readonly layers: ReadonlyMap<number, Float32Array>;
  readonly rowAt: (position: number) => number;
}

export interface ReplacedText {
  /** All its tokens. */
  readonly total: number;
  /** Tokens that are read, the last being the measured one. */
  readonly length: number;
  readonly layers: readonly number[];
}

/**
 * Reads what the operation needs of other texts, once for all heads of `layers`.
 * @throws AppError `bad-input` for texts that are too short or of another length, and positions that there are not.
 */
export async function prepareReplacement(
  decoder: Decoder,
  operation: HeadOperation,
  text: ReplacedText,
  options: TrialOptions,
): Promise<Replacement> {
  const { length, layers } = text;
  const positions = positionsOf(operation, length);
  if (operation.kind === 'zero') {
    const isWhole = operation.positions === 'all';
    return { trial: (heads) => (isWhole ? shut(decoder, heads) : replace(decoder, heads, positions)) };
  }
  if (operation.kind === 'mean') {
    const outputs = await means(decoder, operation, { length: Math.max(...positions) + 1, layers }, options);
    return { trial: (heads) => replace(decoder, heads, positions, outputs) };
  }
  if (operation.kind === 'patch') {
    const source = checkedSource(operation.source, text);
    const { outputs, logits } = await read(decoder, source, layers, options);
    return { trial: (heads) => replace(decoder, heads, positions, outputs), sourceLogits: logits };
  }
  const { reference, seed } = operation;
  const number = Math.floor(createRandom(seed).next() * reference.length);
  const drawn = reference[number]!;
  const { outputs } = await read(decoder, drawn, layers, options);
  const rowAt = (position: number) => Math.floor((position * drawn.length) / length);
  return {
    trial: (heads) => replace(decoder, heads, positions, { ...outputs, rowAt }),
    drawn: { text: number, isStretched: drawn.length !== length },
  };
}

function positionsOf({ positions }: HeadOperation, length: number): number[] {
  if (positions === 'last') return [length - 1];
  if (positions === 'all') return Array.from({ length }, (_, i) => i);
  const outside = positions.find((position) => position >= length);
  if (outside !== undefined)
    throw new AppError(
      'bad-input',
      `Position ${outside} is after the measured one, ${length - 1}, and cannot change it. Choose an earlier position.`,
    );
  return [...new Set(positions)].sort((a, b) => a - b);
}

function checkedSource(source: readonly number[], { total, length }: ReplacedText): readonly number[] {
  if (source.length !== total)
    throw new AppError(
      'bad-input',
      `The text that is patched in has ${source.length} tokens, the other ${total}. Give two of equal length.`,
    );
  return source.slice(0, length);
}

function shut({ layers, heads: inLayer }: Decoder, heads: readonly HeadRef[]): Trial {
  const gates = new Float32Array(layers * inLayer).fill(1);
  for (const { layer, head } of heads) gates[layer * inLayer + head] = 0;
  return { gates, from: 0 };
}

function replace(
  { headDim, heads: inLayer }: Decoder,
  heads: readonly HeadRef[],
  positions: readonly number[],
  by?: Outputs,
): Trial {
  const patches = heads.flatMap(({ layer, head }) =>
    runsOf(positions).map(([at, count]): HeadPatch => {
      const rows = new Float32Array(count * headDim);
      const from = by?.layers.get(layer);
      for (let i = 0; by && from && i < count; i++) {
        const start = (by.rowAt(at + i) * inLayer + head) * headDim;
        rows.set(from.subarray(start, start + headDim), i * headDim);
      }
      return { layer, head, how: 'replace', at, rows };
    }),
  );
  return { patches, from: positions[0]! };
}

/** Neighbouring positions together: [first, count]. */
function runsOf(positions: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const position of positions) {
    const last = runs.at(-1);
    if (last && last[0] + last[1] === position) last[1]++;
    else runs.push([position, 1]);
  }
  return runs;
}

async function read(
  decoder: Decoder,
  tokens: readonly number[],
  layers: readonly number[],
  options: TrialOptions,
): Promise<{ outputs: Outputs; logits: Float32Array }> {
  const width = decoder.heads * decoder.headDim;
  const rows = new Map(layers.map((layer) => [layer, new Float32Array(tokens.length * width)]));
  const onRows = (layer: number, part: Float32Array, at: number) => rows.get(layer)!.set(part, at * width);
  const logits = await captureOutputs(decoder, tokens, layers, { ...options, onRows });
  return { outputs: { layers: rows, rowAt: (position) => position }, logits };
}

/** Sums are float64. */
async function means(
  decoder: Decoder,
  { reference, over }: Extract<HeadOperation, { kind: 'mean' }>,
  { length, layers }: Pick<ReplacedText, 'length' | 'layers'>,
  options: TrialOptions,
): Promise<Outputs> {
  const longest = Math.max(...reference.map((text) => text.length));
  if (over === 'position' && longest < length)
    throw new AppError(
      'bad-input',
      `The longest reference text has ${longest} tokens, but ${length} positions need a mean. Give longer texts, or average over all positions.`,
    );
  const width = decoder.heads * decoder.headDim;
  const slots = over === 'position' ? length : 1;
  const counts = new Float64Array(slots);
  const sums = new Map(layers.map((layer) => [layer, new Float64Array(slots * width)]));
  for (const text of reference) {
    const used = over === 'position' ? text.slice(0, length) : text;
    for (let i = 0; i < used.length; i++) counts[over === 'position' ? i : 0]!++;
    const onRows = (layer: number, part: Float32Array, at: number) => {
      const sum = sums.get(layer)!;
      for (let i = 0; i < part.length; i++) sum[over === 'position' ? at * width + i : i % width]! += part[i]!;
    };
    await captureOutputs(decoder, used, layers, { ...options, onRows });
  }
  const mean = (sum: Float64Array) => Float32Array.from(sum, (total, i) => total / counts[Math.floor(i / width)]!);
  return {
    layers: new Map([...sums].map(([layer, sum]) => [layer, mean(sum)])),
    rowAt: (position) => (over === 'position' ? position : 0),
  };
}
