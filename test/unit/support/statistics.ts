/** Upper 1 % points of the chi-square distribution (NIST/SEMATECH e-Handbook, 1.3.6.7.4), by degrees of freedom. */
export function chiSquareLimit(freedom: number): number {
  const table: Record<number, number> = { 1: 6.635, 2: 9.21, 3: 11.345, 4: 13.277, 5: 15.086, 6: 16.812, 7: 18.475 };
  const wilsonHilferty = freedom * (1 - 2 / (9 * freedom) + 2.3263 * Math.sqrt(2 / (9 * freedom))) ** 3;
  return table[freedom] ?? wilsonHilferty;
}
