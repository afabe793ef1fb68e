/**
 * The scale of the token colours: the less probable a token, the stronger one orange tint behind it. One hue of growing
 * strength reads the same for every kind of colour vision and on paper, and lets the theme's own text colour stay.
 */

/** Data palette: the tint, and how strong it is at probability 0. */
export const tint = { red: 230, green: 97, blue: 0, alpha: 0.5 } as const;

/** Strength of the tint, linear in probability: none at 1. */
export function tintAlpha(probability: number): number {
  return (1 - Math.min(1, Math.max(0, probability))) * tint.alpha;
}

/** The tint for style sheets: `rgb(var(--tint) / calc((1 - probability) * var(--tint-alpha)))`. */
export function tintVariables(): string {
  const { red, green, blue, alpha } = tint;
  return `--tint: ${red} ${green} ${blue}; --tint-alpha: ${alpha}`;
}

type Rgb = readonly [number, number, number];

/** The tint as it is seen on a background. */
export function tintOn(background: Rgb, probability: number): Rgb {
  const alpha = tintAlpha(probability);
  const mix = (over: number, under: number) => over * alpha + under * (1 - alpha);
  return [mix(tint.red, background[0]), mix(tint.green, background[1]), mix(tint.blue, background[2])];
}

/** "83 %", "1.2 %", "0.04 %", "< 0.01 %": two digits that matter. */
export function formatProbability(probability: number): string {
  const percent = probability * 100;
  if (percent >= 99.95) return percent > 99.995 ? '100 %' : '> 99.9 %';
  if (percent >= 10) return `${percent.toFixed(1)} %`;
  if (percent >= 1) return `${percent.toFixed(1)} %`;
  if (percent >= 0.01) return `${percent.toFixed(2)} %`;
  return '< 0.01 %';
}
