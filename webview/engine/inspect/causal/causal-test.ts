/**
 * One causal test: something is changed in attention, and the prediction of one position is compared with and without.
 * Formulas, directions and limits: docs/causal-tests.md.
 */
import { AppError } from '../../../../src/shared/app-error.ts';
import type {
  CausalOperation,
  CausalRecord,
  ControlRequest,
  EffectMeasure,
  HeadRef,
} from '../../../../src/shared/causal-contract.ts';
import type { Arithmetic } from '../../../../src/shared/engine-contract.ts';
import type { Decoder, EdgeCut } from '../../decoder.ts';
import { checkHead, checkIntervention } from '../../intervention.ts';
import { drawEdgeSets, drawHeadSets, type Edge, summarise } from './control.ts';
import { measureLogits } from './measure.ts';
import { hashOf } from './reference-hash.ts';
import { prepareReplacement } from './replacement.ts';
import { type Trial, TrialRunner } from './trial-runner.ts';

export interface CausalOptions {
  readonly measure: EffectMeasure;
  /** The position whose prediction of the next token is measured; absent: the last. */
  readonly at?: number;
  readonly control: ControlRequest;
  /** Which model on which runtime: for the record. */
  readonly modelId: string;
  readonly runtime: string;
  /** Absent: float32. */
  readonly arithmetic?: Arithmetic;
  readonly signal?: AbortSignal;
  /** In tokens. */
  readonly onProgress?: (done: number, total: number) => void;
}

type HeadTest = Exclude<CausalOperation, { kind: 'knock-out' }>;
type KnockOut = Extract<CausalOperation, { kind: 'knock-out' }>;

/** What is run, what it is compared with, and what the record says of them. */
interface Prepared {
  readonly trials: readonly Trial[];
  readonly control: Parameters<typeof summarise>[1];
  readonly sourceLogits?: Float32Array | undefined;
  readonly drawn?: CausalRecord['drawn'];
}

/**
 * Does one operation and the same on random heads or edges.
 * @throws AppError `bad-input` for heads, edges, positions or tokens that there are not and texts that do not fit;
 *   `model-unsupported` where the runtime cannot do it; and what `Decoder.forward` throws.
 */
export async function runCausalTest(
  decoder: Decoder,
  tokens: readonly number[],
  operation: CausalOperation,
  options: CausalOptions,
): Promise<CausalRecord> {
  const { measure, control } = options;
  const { at, arithmetic } = checkedSetting(decoder, tokens, options);
  const trialOptions = { arithmetic, signal: options.signal, onProgress: options.onProgress };
  const read = tokens.slice(0, at + 1);
  const prepared =
    operation.kind === 'knock-out'
      ? prepareKnockOut(decoder, operation, at, control)
      : await prepareHeads(decoder, operation, { total: tokens.length, at, control }, trialOptions);
  const runner = new TrialRunner(decoder, read, trialOptions);
  try {
    for (const trial of prepared.trials) checkIntervention(decoder, trial);
    const original = await runner.original(prepared.trials);
    const value = (row: Float32Array) => measureLogits(measure, row, original);
    const before = value(original);
    const [changed, ...others] = await runner.run(prepared.trials, value);
    return {
      kind: 'causal-test',
      ...describeSetting(tokens, { ...options, at, arithmetic }),
      operation,
      ...describeSource(operation, prepared, value),
      original: before,
      changed: changed!,
      effect: changed! - before,
      control: summarise(
        control,
        prepared.control,
        others.map((other) => other - before),
      ),
    };
  } finally {
    runner.dispose();
  }
}

type Rest<Kind extends HeadTest['kind']> = Omit<Extract<HeadTest, { kind: Kind }>, 'kind' | 'positions'>;
interface Where {
  /** Absent: all. */
  readonly positions?: HeadTest['positions'];
}

/** Heads' outputs in place of which zeros, a mean or another text's outputs stand: `how` says which. */
export function ablateHeads(
  decoder: Decoder,
  tokens: readonly number[],
  {
    how,
    positions = 'all',
    ...rest
  }: Where &
    (({ how: 'zero' } & Rest<'zero'>) | ({ how: 'mean' } & Rest<'mean'>) | ({ how: 'resample' } & Rest<'resample'>)),
  options: CausalOptions,
): Promise<CausalRecord> {
  return runCausalTest(decoder, tokens, { kind: how, positions, ...rest } as HeadTest, options);
}

/** Attention knockout (Geva et al. 2023, https://arxiv.org/abs/2304.14767). */
export function knockOutEdges(
  decoder: Decoder,
  tokens: readonly number[],
  edges: Omit<KnockOut, 'kind'>,
  options: CausalOptions,
): Promise<CausalRecord> {
  return runCausalTest(decoder, tokens, { kind: 'knock-out', ...edges }, options);
}

/** Activation patching (Vig et al. 2020, https://arxiv.org/abs/2004.12265) of heads' outputs. */
export function patchHeads(
  decoder: Decoder,
  tokens: readonly number[],
  { positions = 'all', ...rest }: Where & Rest<'patch'>,
  options: CausalOptions,
): Promise<CausalRecord> {
  return runCausalTest(decoder, tokens, { kind: 'patch', positions, ...rest }, options);
}

async function prepareHeads(
  decoder: Decoder,
  operation: HeadTest,
  { total, at, control }: { total: number; at: number; control: ControlRequest },
  options: ConstructorParameters<typeof TrialRunner>[2],
): Promise<Prepared> {
  const heads = distinctHeads(operation.heads);
  for (const { layer, head } of heads) checkHead(decoder, layer, head);
  const layers = [...new Set(heads.map(({ layer }) => layer))];
  const replacement = await prepareReplacement(decoder, operation, { total, length: at + 1, layers }, options);
  const { sets, note } = drawHeadSets(heads, decoder.heads, control);
  const { sourceLogits, drawn } = replacement;
  const trials = [heads, ...sets].map((set) => replacement.trial(set));
  return { trials, control: { heads: sets, note }, sourceLogits, ...(drawn && { drawn }) };
}

function prepareKnockOut(decoder: Decoder, operation: KnockOut, at: number, control: ControlRequest): Prepared {
  const late = operation.edges.find(([query]) => query > at);
  if (late)
    throw new AppError(
      'bad-input',
      `Query ${late[0]} is after the measured position, ${at}, and cannot change it. Choose an earlier query.`,
    );
  const { layers, heads } = operation;
  const trialOf = (edges: readonly Edge[]): Trial => ({
    cuts: edges.map(([query, key]): EdgeCut => ({ query, key, layers, ...(heads && { heads }) })),
    from: Math.min(...edges.map(([query]) => query)),
  });
  checkIntervention(decoder, trialOf(operation.edges));
  const { sets, note } = drawEdgeSets(operation.edges, at, control);
  return { trials: [operation.edges, ...sets].map(trialOf), control: { edges: sets, note } };
}

function distinctHeads(heads: readonly HeadRef[]): HeadRef[] {
  return [...new Map(heads.map((head) => [`${head.layer}.${head.head}`, head])).values()];
}

/** @throws AppError `bad-input` */
export function checkedSetting(
  { vocabSize }: Decoder,
  tokens: readonly number[],
  { at = tokens.length - 1, arithmetic = 'float32', measure }: CausalOptions,
): { at: number; arithmetic: Arithmetic } {
  if (tokens.length === 0) throw new AppError('bad-input', 'There is no text to test. Give at least one token.');
  if (!(Number.isInteger(at) && at >= 0 && at < tokens.length))
    throw new AppError('bad-input', `There is no position ${at} in a text of ${tokens.length} tokens. Choose another.`);
  const named =
    measure.kind === 'kl' ? [] : measure.kind === 'probability' ? [measure.token] : [measure.token, measure.against];
  const unknown = named.find((token) => !(Number.isInteger(token) && token >= 0 && token < vocabSize));
  if (unknown !== undefined)
    throw new AppError('bad-input', `There is no token ${unknown} in a vocabulary of ${vocabSize}. Choose another.`);
  return { at, arithmetic };
}

export function describeSetting(
  tokens: readonly number[],
  { modelId, runtime, arithmetic, at, measure }: CausalOptions & { at: number; arithmetic: Arithmetic },
) {
  const direction = measure.kind === 'kl' ? ('KL(original || changed)' as const) : ('changed - original' as const);
  return { modelId, runtime, arithmetic, tokens: [...tokens], at, measure, direction };
}

/** Of the texts that an operation takes its outputs from. */
export function describeSource(
  operation: { readonly kind: string; readonly reference?: number[][]; readonly source?: number[] },
  { drawn, sourceLogits }: Pick<Prepared, 'drawn' | 'sourceLogits'>,
  value: (logits: Float32Array) => number,
) {
  const texts = operation.reference ?? (operation.source && [operation.source]);
  return {
    ...(texts && { referenceHash: hashOf(texts) }),
    ...(drawn && { drawn }),
    ...(sourceLogits && { source: value(sourceLogits) }),
  };
}
