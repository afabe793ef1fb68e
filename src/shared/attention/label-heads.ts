/** Names for what heads do on synthetic sequences, given only above what random heads reach on the same ones. */
import { AppError } from '../app-error.ts';
import { type AttentionMap, checkMap, requireKind, rowOf, visibleKeys } from './attention-map.ts';
import {
  type Evidence,
  evidenceOf,
  planRelations,
  type RelationName,
  relationNames,
  type SyntheticText,
} from './head-evidence.ts';
import { randomHeads, randomMaps } from './random-heads.ts';
import { quantile } from './relation-score.ts';
import { createRowStatistics } from './row-statistics.ts';

export type HeadLabel = RelationName | 'uniform';

export interface LabelledHead {
  /** Empty where the head shows none of them: most heads of a real model. */
  readonly labels: readonly HeadLabel[];
  readonly evidence: Readonly<Record<RelationName, Evidence>>;
  /** Mean entropy over its largest possible, 0..1. */
  readonly normalisedEntropy: number;
  /** Mean mass on the learned sink, 0..1. It is no label, and it is not the sink of the first token. */
  readonly learnedSink: number;
}

interface Threshold {
  readonly mass: number;
  readonly rate: number;
}

export interface HeadLabeller {
  readonly thresholds: Readonly<Record<RelationName, Threshold>>;
  /** `maps`: of one head, one a sequence. */
  label(maps: readonly AttentionMap[]): LabelledHead;
}

export interface LabelOptions {
  readonly kind?: 'causal' | 'bidirectional';
  /** Random heads of the null. */
  readonly nulls?: number;
  readonly seed?: number;
}

/** A null on fewer sequences varies more, so that its thresholds are rather too high than too low. */
const nullTexts = 3;
/** Fewer say nothing. */
const leastQueries = 10;
/** Gu et al. 2025 call a sink what holds more; asked of every label, because a head that does less is named by what it does not do. */
const leastMass = 0.3;
/** A head of random weights is at 0.999 where its scores deviate by 0.1: nearer to uniform than this, it is uniform. */
const uniformEntropy = 0.9995;

/**
 * A labeller for heads read on these sequences: random tokens said twice (`repeatedSequences`), two or more, never one text. It
 * plants its null itself: random-weights heads on the same tokens, of widths 1 to 64 and of sharpness 0.2 to 16. A label needs
 * its mass above the null's 99.5 % quantile and 0.3, and its rate (share of queries whose largest weight is on the relation) in
 * the upper half of what is left above the null's quantile. About a second for 10 sequences of 101 tokens, once.
 *
 * Causal or bidirectional self attention. `duplicate-token` and `induction` look at earlier tokens only, in either kind. A learned
 * sink is no key: it lowers every mass, and a query that prefers it is not counted as attending along any relation.
 *
 * Throws `bad-input` for fewer than two sequences, or sequences without repeats.
 */
export function createHeadLabeller(
  sequences: readonly SyntheticText[],
  { kind = 'causal', nulls = 200, seed = 0 }: LabelOptions = {},
): HeadLabeller {
  if (sequences.length < 2) refuse(`${sequences.length} text is not enough: a label never rests on one.`);
  if (nulls < 100) refuse(`${nulls} random heads have no 99.5 % quantile.`);
  const plans = sequences.map(planRelations);
  if (relationNames.some((name) => plans.reduce((sum, plan) => sum + plan[name].length, 0) < leastQueries))
    refuse('The sequences repeat too little for duplicates and induction to show.');
  const thresholds = findThresholds(sequences, { kind, nulls, seed });
  return {
    thresholds,
    label(maps) {
      checkMaps(maps, sequences, kind);
      const evidence = evidenceOf(maps, plans);
      const { normalisedEntropy, learnedSink } = entropyOf(maps);
      const labels: HeadLabel[] = relationNames.filter((name) => isShown(name, evidence, thresholds));
      if (normalisedEntropy >= uniformEntropy) labels.push('uniform');
      return { labels, evidence, normalisedEntropy, learnedSink };
    },
  };
}

/** Labels of many heads; `heads`: [head][sequence]. See `createHeadLabeller`. */
export function labelHeads(
  heads: readonly (readonly AttentionMap[])[],
  sequences: readonly SyntheticText[],
  options?: LabelOptions,
): LabelledHead[] {
  const labeller = createHeadLabeller(sequences, options);
  return heads.map((maps) => labeller.label(maps));
}

type Evidences = Readonly<Record<RelationName, Evidence>>;

function isShown(
  name: RelationName,
  evidence: Evidences,
  thresholds: Readonly<Record<RelationName, Threshold>>,
): boolean {
  const { mass, rate } = evidence[name];
  if (!(mass > thresholds[name].mass && rate > thresholds[name].rate)) return false;
  // A head that looks for equal tokens finds its own too, with the same weight.
  if (name === 'self') return mass > 2 * evidence['duplicate-token'].mass;
  return name !== 'duplicate-token' || 2 * mass > evidence.self.mass;
}

function findThresholds(
  sequences: readonly SyntheticText[],
  { kind, nulls, seed }: Required<LabelOptions>,
): Record<RelationName, Threshold> {
  const used = sequences.slice(0, nullTexts);
  const texts = used.map(({ tokens }) => tokens);
  const plans = used.map(planRelations);
  const evidences = randomHeads(nulls, seed).map((head) => evidenceOf(randomMaps(head, texts, kind), plans));
  const high = (pick: (evidence: Evidences) => number) => quantile(Float64Array.from(evidences, pick).sort(), 0.995);
  const entries = relationNames.map((name) => {
    const rate = high((evidence) => evidence[name].rate);
    const mass = high((evidence) => evidence[name].mass);
    return [name, { mass: Math.max(leastMass, mass), rate: (1 + rate) / 2 }] as const;
  });
  return Object.fromEntries(entries) as Record<RelationName, Threshold>;
}

function entropyOf(maps: readonly AttentionMap[]): { normalisedEntropy: number; learnedSink: number } {
  const statistics = createRowStatistics({ kind: maps[0]!.kind });
  for (const map of maps)
    for (let query = 0; query < map.queries; query++) {
      statistics.add(query, rowOf(map, query), visibleKeys(map, query).first, map.sinks?.[query]);
    }
  const { normalisedEntropy = 0, learnedSink } = statistics.result();
  return { normalisedEntropy, learnedSink };
}

function checkMaps(
  maps: readonly AttentionMap[],
  sequences: readonly SyntheticText[],
  kind: AttentionMap['kind'],
): void {
  if (maps.length !== sequences.length) refuse(`There are ${maps.length} maps for ${sequences.length} sequences.`);
  maps.forEach((map, index) => {
    requireKind('A label by these sequences', map.kind, [kind]);
    checkMap(map);
    const { length } = sequences[index]!.tokens;
    if (map.queries !== length || map.keys !== length) refuse(`Map ${index} is not of ${length} tokens.`);
  });
}

function refuse(cause: string): never {
  throw new AppError('bad-input', `${cause} Give maps of one head on two or more repeated random sequences.`);
}
