/**
 * The steps in which a weight is shaded: ten, each twice the weight of the one below, the same for every token, head and
 * text, so that two shadings can be compared. Level 10 is 1/2 and more, level 1 is 1/1024 and more, 0 is less: no shade.
 */
export const levelCount = 10;

/** 0..levelCount for a weight of 0..1. */
export function levelOf(weight: number): number {
  if (!(weight > 0)) return 0;
  // Math.log2 is exact for powers of two, so that a border belongs to the level that it opens.
  return Math.min(levelCount, Math.max(0, levelCount + 1 + Math.floor(Math.log2(weight))));
}

/** The smallest weight of a level. */
export function levelFloor(level: number): number {
  return level <= 0 ? 0 : 2 ** (level - levelCount - 1);
}

/** A weight as it is shown everywhere: four decimals, and never 0 for what is not 0. */
export function formatWeight(weight: number): string {
  if (weight > 0 && weight < 0.00005) return '<0.0001';
  return weight.toFixed(4);
}
