/**
 * Follows what the axes of a tensor count through operators that move, merge and split them. An atom is an axis that is
 * not split any further; a tensor's axis is a list of atoms, the slowest first.
 */
import type { Axis, AxisPart, AxisRole } from './attention-site.ts';
import { divideSizes, multiplySizes, type Size } from './symbolic-size.ts';

export class Atom {
  readonly size: Size;
  #role: AxisRole | undefined;
  /** Where a later reshape split it. */
  #parts: readonly [Atom, Atom] | undefined;

  constructor(size: Size, role?: AxisRole) {
    this.size = size;
    this.#role = role;
  }

  leaves(): Atom[] {
    return this.#parts ? this.#parts.flatMap((part) => part.leaves()) : [this];
  }

  /** Into an outer and an inner factor. */
  split(outer: Size, inner: Size): readonly [Atom, Atom] {
    this.#parts = [new Atom(outer, this.#role), new Atom(inner, this.#role)];
    return this.#parts;
  }

  get role(): AxisRole | undefined {
    return this.#role;
  }

  set role(role: AxisRole) {
    this.#role = role;
    for (const part of this.#parts ?? []) part.role = role;
  }
}

export type AtomAxes = readonly (readonly Atom[])[];

export function leavesOf(axis: readonly Atom[]): Atom[] {
  return axis.flatMap((atom) => atom.leaves());
}

/**
 * The axes behind a reshape to `shape`, in either direction: merges neighbours, splits what is too large. Undefined
 * where sizes do not tell.
 */
export function reshapeAxes(axes: AtomAxes, shape: readonly Size[]): AtomAxes | undefined {
  const atoms = axes.flatMap(leavesOf).filter(({ size }) => size !== 1);
  const targets = shape.map((size) => ({ size, atoms: [] as Atom[] }));
  const left = takeFrom(atoms, targets);
  // What is not understood from the left may be from the right.
  const open = targets.slice(left).filter(({ size }) => size !== 1);
  if (open.length === 0 && atoms.length > 0) return undefined;
  if (open.length > 0) {
    const right = takeBack(atoms, open);
    const middle = open.slice(0, right);
    if (middle.length > 1 || (middle.length === 0 && atoms.length > 0)) return undefined;
    if (middle[0]) middle[0].atoms.push(...atoms.splice(0));
  }
  return targets.map((target) => target.atoms);
}

interface Target {
  readonly size: Size;
  readonly atoms: Atom[];
}

/** Removes what it places from the front of `atoms`; returns how many targets are done. */
function takeFrom(atoms: Atom[], targets: readonly Target[]): number {
  for (const [done, target] of targets.entries()) {
    const taken: Atom[] = [];
    let rest: Size | undefined = target.size;
    while (rest !== undefined && rest !== 1) {
      const next = atoms[taken.length];
      if (!next) return done;
      const remaining = divideSizes(rest, next.size);
      const inner: Size | undefined = remaining === undefined ? divideSizes(next.size, rest) : undefined;
      if (inner !== undefined) {
        atoms.splice(taken.length, 1, ...next.split(rest, inner));
        rest = 1;
      } else if (remaining !== undefined) rest = remaining;
      else return done;
      taken.push(atoms[taken.length]!);
    }
    target.atoms.push(...taken);
    atoms.splice(0, taken.length);
  }
  return targets.length;
}

/** The same from the back; returns how many targets are left. */
function takeBack(atoms: Atom[], targets: readonly Target[]): number {
  for (let index = targets.length - 1; index >= 0; index--) {
    const target = targets[index]!;
    const taken: Atom[] = [];
    let rest: Size | undefined = target.size;
    while (rest !== undefined && rest !== 1) {
      const next = atoms.at(-1 - taken.length);
      if (!next) return index + 1;
      const remaining = divideSizes(rest, next.size);
      const outer: Size | undefined = remaining === undefined ? divideSizes(next.size, rest) : undefined;
      if (outer !== undefined) {
        atoms.splice(atoms.length - 1 - taken.length, 1, ...next.split(outer, rest));
        rest = 1;
      } else if (remaining !== undefined) rest = remaining;
      else return index + 1;
      taken.unshift(atoms[atoms.length - 1 - taken.length]!);
    }
    target.atoms.push(...taken);
    atoms.splice(atoms.length - taken.length);
  }
  return 0;
}

/** Axes for a site: the role of every atom, with levels where a role is spread over several. */
export function namedAxes(axes: AtomAxes, levels: ReadonlyMap<Atom, number>): Axis[] | undefined {
  const named: Axis[] = [];
  for (const axis of axes) {
    const parts: AxisPart[] = [];
    for (const atom of leavesOf(axis)) {
      const { role, size } = atom;
      if (size === 1) continue;
      if (!role) return undefined;
      const level = levels.get(atom);
      parts.push({ role, ...(level && { level }), ...(typeof size === 'number' && { size }) });
    }
    // Levels of one role are told apart in a run, by tensors that have them apart.
    if (new Set(parts.flatMap(({ role, size }) => (size === undefined ? [role] : []))).size > 1) return undefined;
    named.push({ parts });
  }
  return named;
}

/** Product of sizes, where it is a number. */
export function countOf(atoms: readonly Atom[]): number | undefined {
  let count: Size | undefined = 1;
  for (const { size } of atoms) count = count === undefined ? undefined : multiplySizes(count, size);
  return typeof count === 'number' ? count : undefined;
}
