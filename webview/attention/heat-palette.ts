/**
 * Colours of weights. One hue path a theme with lightness rising or falling all the way, so that it reads without
 * colour vision and in grey; the end for large weights is the one that stands out from the theme's background.
 */
import type { ThemeKind } from '../ui/theme.ts';

/** `doubling`: logarithmic, 1/1024 to 1. `linear`: 0 to 1. `row`: 0 to the largest weight of the query's row. */
export type Scale = 'doubling' | 'linear' | 'row';
export const scales: readonly Scale[] = ['doubling', 'linear', 'row'];

/** The palette's own range is data, so these colours do not come from the theme. */
const anchors: Readonly<Record<ThemeKind, readonly string[]>> = {
  dark: ['#141d33', '#1d3f7a', '#2a70b3', '#45a6c9', '#a3dbd3', '#fdf7cf'],
  'high-contrast': ['#0d1633', '#1b3f85', '#2776c4', '#3fb3dd', '#a8e8e0', '#ffffff'],
  light: ['#fff3df', '#fdd49a', '#f6a04d', '#d8661f', '#9c340e', '#430f05'],
  'high-contrast-light': ['#fff3df', '#fdd49a', '#f29238', '#cc5312', '#862507', '#2b0500'],
};

const steps = 256;

/** 256 colours, [step, r g b]. */
export function createPalette(kind: ThemeKind): Uint8Array {
  const colors = anchors[kind].map(parse);
  const palette = new Uint8Array(steps * 3);
  for (let step = 0; step < steps; step++) {
    const at = (step / (steps - 1)) * (colors.length - 1);
    const index = Math.min(colors.length - 2, Math.floor(at));
    for (let channel = 0; channel < 3; channel++) {
      const [from = 0, to = 0] = [colors[index]?.[channel], colors[index + 1]?.[channel]];
      palette[step * 3 + channel] = Math.round(from + (to - from) * (at - index));
    }
  }
  return palette;
}

/** For a legend. */
export function paletteGradient(kind: ThemeKind): string {
  return `linear-gradient(to right, ${anchors[kind].join(', ')})`;
}

function parse(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** Step 0..255 of a weight. `rowLargest` counts in the scale `row` only. */
export function stepOf(weight: number, scale: Scale, rowLargest = 1): number {
  if (!(weight > 0)) return 0;
  const fraction =
    scale === 'doubling' ? 1 + Math.log2(weight) / 10 : scale === 'linear' ? weight : weight / rowLargest;
  return Math.round(Math.min(1, Math.max(0, fraction)) * (steps - 1));
}

/** What a legend writes below its bar, from left to right. */
export const scaleTicks: Readonly<Record<Scale, readonly [string, string, string]>> = {
  doubling: ['≤ 0.001', '0.03', '1'],
  linear: ['0', '0.5', '1'],
  row: ['0', 'half', 'row’s largest'],
};
