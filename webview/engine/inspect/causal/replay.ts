/** Does what a record says once more, and says by how much the result differs. */
import type { CausalRecord, HeadRanking } from '../../../../src/shared/causal-contract.ts';
import type { Decoder } from '../../decoder.ts';
import { type CausalOptions, runCausalTest } from './causal-test.ts';
import { rankHeads } from './head-ranking.ts';
import { hashOf } from './reference-hash.ts';

export interface Replay<T> {
  readonly record: T;
  /** The largest of the differences of all numbers: measures, effects, control. */
  readonly largestDifference: number;
  /** What is not as the record says: sentences. */
  readonly mismatches: string[];
}

type ReplayOptions = Pick<CausalOptions, 'modelId' | 'runtime' | 'signal' | 'onProgress'>;

/** @throws AppError as `runCausalTest`. */
export async function replayCausal<T extends CausalRecord | HeadRanking>(
  decoder: Decoder,
  old: T,
  options: ReplayOptions,
): Promise<Replay<T>> {
  const { tokens, at, measure, arithmetic } = old;
  const again = { ...options, at, measure, arithmetic };
  const record =
    old.kind === 'causal-test'
      ? await runCausalTest(decoder, tokens, old.operation, { ...again, control: requestOf(old.control) })
      : await rankHeads(decoder, tokens, old.operation, {
          ...{ ...again, control: old.controlRequest },
          heads: old.entries.map(({ layer, head }) => ({ layer, head })),
        });
  return {
    record: record as T,
    largestDifference: largestDifference(numbersOf(old), numbersOf(record)),
    mismatches: mismatchesOf(old, options),
  };
}

function requestOf({ sets, seed }: CausalRecord['control']) {
  return { sets, seed };
}

function mismatchesOf(old: CausalRecord | HeadRanking, { modelId, runtime }: ReplayOptions): string[] {
  const { operation } = old;
  const texts = 'reference' in operation ? operation.reference : 'source' in operation ? [operation.source] : undefined;
  const found: string[] = [];
  if (old.modelId !== modelId) found.push(`The record is of the model ${old.modelId}, this is ${modelId}.`);
  if (old.runtime !== runtime) found.push(`The record is of the runtime ${old.runtime}, this is ${runtime}.`);
  if (texts && hashOf(texts) !== old.referenceHash)
    found.push('The texts of the record are not those that it was made with.');
  return found;
}

/** By name, so that the order of a ranking does not matter. */
function numbersOf(record: CausalRecord | HeadRanking): Map<string, number> {
  const numbers = new Map([['original', record.original]]);
  if (record.source !== undefined) numbers.set('source', record.source);
  const tests = record.kind === 'causal-test' ? [{ layer: 0, head: 0, ...record }] : record.entries;
  for (const { layer, head, changed, effect, control } of tests)
    for (const [i, number] of [changed, effect, ...control.effects].entries())
      numbers.set(`${layer}.${head}.${i}`, number);
  return numbers;
}

function largestDifference(a: Map<string, number>, b: Map<string, number>): number {
  let largest = 0;
  for (const name of new Set([...a.keys(), ...b.keys()]))
    largest = Math.max(largest, Math.abs((a.get(name) ?? Number.NaN) - (b.get(name) ?? Number.NaN)));
  return largest;
}
