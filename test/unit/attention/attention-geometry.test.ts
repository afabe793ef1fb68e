import { describe, expect, it } from 'vitest';
import {
  groupOf,
  hasGroups,
  headAfterKey,
  headAt,
  layoutHeadGrid,
  thumbLeft,
  thumbTop,
} from '../../../webview/attention/head-grid-geometry.ts';
import { createPalette, type Scale, stepOf } from '../../../webview/attention/heat-palette.ts';
import {
  columnLeft,
  cursorAfterKey,
  hitAt,
  labelStep,
  layoutHeatmap,
  rowTop,
  scrollTo,
} from '../../../webview/attention/heatmap-geometry.ts';

const frame = { tokens: 20, width: 280, gutterLeft: 60, gutterTop: 60, zoom: 0, pixelRatio: 1 };
const origin = { left: 0, top: 0 };

describe('the heatmap', () => {
  it.each([
    ['a side bar', { width: 280 }, 11, 280],
    ['much room', { width: 1200 }, 28, 60 + 20 * 28],
    ['one token', { tokens: 1 }, 28, 88],
    ['512 tokens in a side bar: a pixel each, and it scrolls', { tokens: 512 }, 1, 280],
    ['a screen of 1.5 pixels', { pixelRatio: 1.5 }, 16 / 1.5, 60 + (20 * 16) / 1.5],
    ['nothing', { tokens: 0 }, 28, 60],
    ['hardly any room', { width: 40 }, 1, 61],
  ])('fits %s', (_, change, cell, viewWidth) => {
    const changed = { ...frame, ...change };
    const layout = layoutHeatmap(changed);
    expect(layout.cell).toBeCloseTo(cell);
    expect(layout.viewWidth).toBeCloseTo(viewWidth);
    expect(Number.isInteger(Math.round(layout.cell * changed.pixelRatio * 1e6) / 1e6)).toBe(true);
  });

  it('grows cells up to a limit, and keeps the view as large as it was', () => {
    const layouts = [0, 1, 2, 3].map((zoom) => layoutHeatmap({ ...frame, zoom }));
    expect(layouts.map(({ cell }) => cell)).toEqual([11, 22, 28, 28]);
    expect(new Set(layouts.map(({ viewWidth }) => viewWidth)).size).toBe(1);
    expect(layouts.map(({ canZoomIn }) => canZoomIn)).toEqual([true, true, false, false]);
  });

  it('finds every cell where it is drawn, scrolled or not', () => {
    for (const zoom of [0, 2]) {
      const layout = layoutHeatmap({ ...frame, zoom });
      const cell = { query: 13, key: 7 };
      const scroll = scrollTo(layout, origin, cell);
      const x = columnLeft(layout, scroll, cell.key) + layout.cell / 2;
      const y = rowTop(layout, scroll, cell.query) + layout.cell / 2;
      expect(hitAt(layout, scroll, x, y)).toEqual({ kind: 'cell', ...cell });
      expect(hitAt(layout, scroll, 10, y)).toEqual({ kind: 'query', token: 13 });
      expect(hitAt(layout, scroll, x, 10)).toEqual({ kind: 'key', token: 7 });
    }
  });

  it('finds nothing in the corner, behind the last token and outside', () => {
    const layout = layoutHeatmap({ ...frame, tokens: 2 });
    for (const [x, y] of [
      [5, 5],
      [118, 70],
      [-1, 70],
      [70, 500],
    ] as const)
      expect(hitAt(layout, origin, x, y)).toBeUndefined();
  });

  it('scrolls no further than it must', () => {
    const layout = layoutHeatmap({ ...frame, tokens: 100, zoom: 3 });
    expect(scrollTo(layout, { left: 40, top: 40 }, { query: 4, key: 4 })).toEqual({ left: 40, top: 40 });
    const room = layout.viewWidth - layout.gutterLeft;
    expect(scrollTo(layout, origin, { query: 99, key: 0 })).toEqual({ left: 0, top: 100 * layout.cell - room });
    expect(scrollTo(layout, { left: 500, top: 500 }, { query: 0, key: 0 })).toEqual(origin);
  });

  it('thins labels to round steps', () => {
    expect([28, 12, 11, 5, 2, 1, 0.4].map((cell) => labelStep(cell, 12))).toEqual([1, 1, 2, 5, 10, 20, 50]);
  });

  it('moves by keys and stays inside', () => {
    const moves = ['ArrowUp', 'ArrowLeft', 'End', 'PageDown', 'Home', 'x'].map((key) =>
      cursorAfterKey({ query: 3, key: 0 }, { queries: 6, keys: 6, isCausal: true }, key),
    );
    expect(moves).toEqual([
      { query: 2, key: 0 },
      { query: 3, key: 0 },
      { query: 3, key: 3 },
      { query: 5, key: 0 },
      { query: 3, key: 0 },
      undefined,
    ]);
  });
});

describe('the grid of heads', () => {
  const heads = { layers: 30, heads: 9, kvHeads: 3, width: 270 };

  it('keeps heads that share keys and values together', () => {
    expect([0, 2, 3, 8].map((head) => groupOf(heads, head))).toEqual([0, 0, 1, 2]);
    expect([hasGroups(heads), hasGroups({ ...heads, kvHeads: 9 }), hasGroups({ ...heads, kvHeads: 0 })]).toEqual([
      true,
      false,
      false,
    ]);
    const layout = layoutHeadGrid(heads);
    const step = layout.thumb + 2;
    expect(thumbLeft(layout, 1) - thumbLeft(layout, 0)).toBe(step);
    expect(thumbLeft(layout, 3) - thumbLeft(layout, 2)).toBe(step + 8);
    expect(layout.contentWidth).toBeLessThanOrEqual(270);
  });

  it('finds every head where it is drawn', () => {
    const layout = layoutHeadGrid(heads);
    for (const at of [
      { layer: 0, head: 0 },
      { layer: 29, head: 8 },
      { layer: 12, head: 3 },
    ])
      expect(headAt(layout, thumbLeft(layout, at.head) + 1, thumbTop(layout, at.layer) + 1)).toEqual(at);
    expect(headAt(layout, 5, 100)).toBeUndefined();
    expect(headAt(layout, 100, 5)).toBeUndefined();
  });

  it('becomes wider than its room rather than too small to see', () => {
    const layout = layoutHeadGrid({ layers: 80, heads: 64, kvHeads: 8, width: 270 });
    expect(layout.thumb).toBe(14);
    expect(layout.contentWidth).toBeGreaterThan(270);
  });

  it('moves by keys and stays inside', () => {
    const at = { layer: 1, head: 8 };
    expect(headAfterKey(heads, at, 'ArrowRight')).toEqual(at);
    expect(headAfterKey(heads, at, 'PageUp')).toEqual({ layer: 0, head: 8 });
    expect(headAfterKey(heads, at, 'Home')).toEqual({ layer: 1, head: 0 });
    expect(headAfterKey(heads, at, 'Enter')).toBeUndefined();
  });
});

describe('colours', () => {
  it.each([
    ['doubling', [0, 1 / 2048, 1 / 1024, 1 / 32, 1], [0, 0, 0, 128, 255]],
    ['linear', [0, 0.5, 1], [0, 128, 255]],
    ['row', [0, 0.1, 0.2], [0, 128, 255]],
  ] as [Scale, number[], number[]][])('of the scale %s', (scale, weights, steps) => {
    expect(weights.map((weight) => stepOf(weight, scale, 0.2))).toEqual(steps);
  });

  it.each(['dark', 'light', 'high-contrast', 'high-contrast-light'] as const)(
    'of %s have one direction of lightness',
    (kind) => {
      const palette = createPalette(kind);
      const lightness = Array.from({ length: 256 }, (_, step) => {
        const [red = 0, green = 0, blue = 0] = palette.subarray(step * 3, step * 3 + 3);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      });
      const rises = kind === 'dark' || kind === 'high-contrast';
      for (let step = 1; step < 256; step++)
        expect((lightness[step]! - lightness[step - 1]!) * (rises ? 1 : -1)).toBeGreaterThanOrEqual(-0.5);
      expect(Math.abs(lightness[255]! - lightness[0]!)).toBeGreaterThan(150);
    },
  );
});
