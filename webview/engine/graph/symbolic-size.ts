/**
 * Sizes that are only known in a run, reckoned with as polynomials of named sizes: `batch * 12`, `past + tokens`. Two
 * that are written alike are equal; of others nothing is claimed.
 */

/** A number, or the terms of a polynomial: names joined by `*` in order -> how often. */
export type Size = number | SymbolicSize;

export interface SymbolicSize {
  readonly terms: ReadonlyMap<string, number>;
  /** Equal sizes have equal keys. */
  readonly key: string;
}

/** Longer polynomials say nothing that a graph would repeat. */
const maxTerms = 12;
const maxFactors = 8;

/** Of the name that a file gives. */
export function symbol(name: string): SymbolicSize {
  return sizeOf(new Map([[name.replaceAll('*', '×').replaceAll('?', '¿'), 1]])) as SymbolicSize;
}

/** Of a size that nothing is known of. */
export function unknownSize(number: number): SymbolicSize {
  return sizeOf(new Map([[`?${number}`, 1]])) as SymbolicSize;
}

/** Whether it hangs on a size that nothing is known of. */
export function isUnknown(size: Size): boolean {
  return typeof size !== 'number' && size.key.includes('?');
}

export function isSame(a: Size | undefined, b: Size | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return typeof a === 'number' || typeof b === 'number' ? a === b : a.key === b.key;
}

export function addSizes(a: Size, b: Size): Size | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  const terms = new Map(termsOf(a));
  for (const [name, count] of termsOf(b)) terms.set(name, (terms.get(name) ?? 0) + count);
  return sizeOf(terms);
}

export function multiplySizes(a: Size, b: Size): Size | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  const terms = new Map<string, number>();
  for (const [left, m] of termsOf(a))
    for (const [right, n] of termsOf(b)) {
      const name = [...factors(left), ...factors(right)].sort().join('*');
      terms.set(name, (terms.get(name) ?? 0) + m * n);
    }
  return sizeOf(terms);
}

/** Undefined unless `b` divides `a` for any values of the names. */
export function divideSizes(a: Size, b: Size): Size | undefined {
  if (b === 0) return undefined;
  if (isSame(a, b)) return 1;
  if (typeof a === 'number' && typeof b === 'number') return a % b === 0 ? a / b : undefined;
  const divisor = [...termsOf(b)];
  if (divisor.length !== 1) return undefined;
  const [names, count] = divisor[0]!;
  const terms = new Map<string, number>();
  for (const [name, n] of termsOf(a)) {
    if (n % count !== 0) return undefined;
    const left = factors(name);
    for (const factor of factors(names)) {
      const at = left.indexOf(factor);
      if (at < 0) return undefined;
      left.splice(at, 1);
    }
    terms.set(left.join('*'), n / count);
  }
  return sizeOf(terms);
}

export function productOf(sizes: readonly (Size | undefined)[]): Size | undefined {
  let product: Size | undefined = 1;
  for (const size of sizes)
    product = product === undefined || size === undefined ? undefined : multiplySizes(product, size);
  return product;
}

function termsOf(size: Size): ReadonlyMap<string, number> {
  return typeof size === 'number' ? new Map([['', size]]) : size.terms;
}

function factors(name: string): string[] {
  return name === '' ? [] : name.split('*');
}

function sizeOf(all: Map<string, number>): Size | undefined {
  const terms = new Map([...all].filter(([, count]) => count !== 0).sort(([a], [b]) => (a < b ? -1 : 1)));
  if (terms.size === 0) return 0;
  if (terms.size === 1 && terms.has('')) return terms.get('')!;
  if (terms.size > maxTerms || [...terms.keys()].some((name) => factors(name).length > maxFactors)) return undefined;
  return { terms, key: [...terms].map(([name, count]) => `${count}${name && `*${name}`}`).join(' + ') };
}
