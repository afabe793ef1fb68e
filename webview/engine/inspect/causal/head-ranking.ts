/** All heads by what a change to each of them alone does; every entry is what a single test of that head says. */
import type { HeadOperation, HeadRanking, HeadRef } from '../../../../src/shared/causal-contract.ts';
import type { Decoder } from '../../decoder.ts';
import { checkHead } from '../../intervention.ts';
import { type CausalOptions, checkedSetting, describeSetting, describeSource } from './causal-test.ts';
import { drawHeadSets, summarise } from './control.ts';
import { measureLogits } from './measure.ts';
import { prepareReplacement } from './replacement.ts';
import { TrialRunner } from './trial-runner.ts';

export interface RankingOptions extends CausalOptions {
  /** Absent: all. */
  readonly heads?: readonly HeadRef[];
  /** Without batches; for comparison. */
  readonly isAlone?: boolean;
}

/**
 * The control of a head are the results of other heads of its layer: it costs no runs of its own when all are ranked.
 * @throws AppError as `runCausalTest`.
 */
export async function rankHeads(
  decoder: Decoder,
  tokens: readonly number[],
  operation: HeadOperation,
  options: RankingOptions,
): Promise<HeadRanking> {
  const { measure, control, isAlone = false } = options;
  const { at, arithmetic } = checkedSetting(decoder, tokens, options);
  const ranked = (options.heads ?? allHeads(decoder)).map((head) => ({
    head,
    drawn: drawHeadSets([head], decoder.heads, control),
  }));
  for (const { head } of ranked) checkHead(decoder, head.layer, head.head);
  const needed = new Map<string, HeadRef>();
  for (const { head, drawn } of ranked) for (const each of [head, ...drawn.sets.flat()]) needed.set(nameOf(each), each);
  const trialOptions = { arithmetic, isAlone, signal: options.signal, onProgress: options.onProgress };
  const layers = [...new Set([...needed.values()].map(({ layer }) => layer))];
  const text = { total: tokens.length, length: at + 1, layers };
  const replacement = await prepareReplacement(decoder, operation, text, trialOptions);
  const runner = new TrialRunner(decoder, tokens.slice(0, at + 1), trialOptions);
  const trials = [...needed.values()].map((head) => replacement.trial([head]));
  try {
    const original = await runner.original(trials);
    const value = (row: Float32Array) => measureLogits(measure, row, original);
    const names = [...needed.keys()];
    const values = await runner.run(trials, value);
    const changed = new Map(names.map((name, i) => [name, values[i]!]));
    const before = value(original);
    const effectOf = (head: HeadRef) => changed.get(nameOf(head))! - before;
    const entries = ranked.map(({ head, drawn: { sets, note } }) => ({
      ...head,
      changed: changed.get(nameOf(head))!,
      effect: effectOf(head),
      control: summarise(
        control,
        { heads: sets, note },
        sets.map(([other]) => effectOf(other!)),
      ),
    }));
    return {
      kind: 'head-ranking',
      ...describeSetting(tokens, { ...options, at, arithmetic }),
      operation,
      ...describeSource(operation, replacement, value),
      original: before,
      controlRequest: control,
      entries: entries.sort(byEffect),
    };
  } finally {
    runner.dispose();
  }
}

function allHeads({ layers, heads }: Decoder): HeadRef[] {
  return Array.from({ length: layers * heads }, (_, i) => ({ layer: Math.floor(i / heads), head: i % heads }));
}

function nameOf({ layer, head }: HeadRef): string {
  return `${layer}.${head}`;
}

type Entry = HeadRanking['entries'][number];

function byEffect(a: Entry, b: Entry): number {
  return Math.abs(b.effect) - Math.abs(a.effect) || a.layer - b.layer || a.head - b.head;
}
