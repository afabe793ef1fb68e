/** Where the cells and labels of a heatmap stand. Pure: CSS pixels in, CSS pixels out; drawing is elsewhere. */

const largestCell = 28;

export interface HeatmapFrame {
  /** Queries; the keys are as many where `keys` does not say otherwise. */
  readonly tokens: number;
  readonly keys?: number;
  /** Room for the whole picture. */
  readonly width: number;
  readonly gutterLeft: number;
  readonly gutterTop: number;
  /** Doublings of the size at which everything fits. */
  readonly zoom: number;
  readonly pixelRatio: number;
}

export interface HeatmapLayout {
  /** Rows. */
  readonly tokens: number;
  /** Columns. */
  readonly keys: number;
  /** Edge of one cell; a whole number of device pixels, at least one CSS pixel. */
  readonly cell: number;
  readonly gutterLeft: number;
  readonly gutterTop: number;
  /** Of the picture on the screen. */
  readonly viewWidth: number;
  readonly viewHeight: number;
  /** Of the picture with everything in it; larger than the view when it scrolls. */
  readonly contentWidth: number;
  readonly contentHeight: number;
  /** Whether a larger zoom would change anything. */
  readonly canZoomIn: boolean;
}

export interface Scroll {
  readonly left: number;
  readonly top: number;
}

export interface Cell {
  readonly query: number;
  readonly key: number;
}

/** What stands at a point: a cell, the label of a query or of a key, or nothing. */
export type Hit = ({ readonly kind: 'cell' } & Cell) | { readonly kind: 'query' | 'key'; readonly token: number };

export function layoutHeatmap(frame: HeatmapFrame): HeatmapLayout {
  const { tokens, keys = tokens, width, gutterLeft, gutterTop, zoom, pixelRatio } = frame;
  const snap = (size: number) => Math.max(Math.ceil(pixelRatio), Math.floor(size * pixelRatio)) / pixelRatio;
  const room = Math.max(1, width - gutterLeft);
  const fit = snap(Math.min(largestCell, room / Math.max(1, tokens, keys)));
  const cell = snap(Math.min(largestCell, fit * 2 ** zoom));
  const [wide, high] = [Math.min(room, fit * keys), Math.min(room, fit * tokens)];
  return {
    tokens,
    keys,
    cell,
    gutterLeft,
    gutterTop,
    viewWidth: gutterLeft + wide,
    viewHeight: gutterTop + high,
    contentWidth: gutterLeft + cell * keys,
    contentHeight: gutterTop + cell * tokens,
    canZoomIn: cell < snap(largestCell),
  };
}

export function hitAt(layout: HeatmapLayout, scroll: Scroll, x: number, y: number): Hit | undefined {
  const { cell, gutterLeft, gutterTop, tokens, keys } = layout;
  if (x < 0 || y < 0 || x >= layout.viewWidth || y >= layout.viewHeight) return undefined;
  const key = Math.floor((x - gutterLeft + scroll.left) / cell);
  const query = Math.floor((y - gutterTop + scroll.top) / cell);
  const isInKeys = x >= gutterLeft && key < keys;
  const isInQueries = y >= gutterTop && query < tokens;
  if (isInKeys && isInQueries) return { kind: 'cell', query, key };
  if (isInKeys && y < gutterTop) return { kind: 'key', token: key };
  if (isInQueries && x < gutterLeft) return { kind: 'query', token: query };
  return undefined;
}

/** Left edge of a key's column or top edge of a query's row, in the view. */
export function columnLeft(layout: HeatmapLayout, scroll: Scroll, key: number): number {
  return layout.gutterLeft + key * layout.cell - scroll.left;
}

export function rowTop(layout: HeatmapLayout, scroll: Scroll, query: number): number {
  return layout.gutterTop + query * layout.cell - scroll.top;
}

/** Labels are drawn for every n-th token, so that they do not run into each other: 1, 2, 5, 10, 20, 50, ... */
export function labelStep(cell: number, lineHeight: number): number {
  for (let decade = 1; ; decade *= 10)
    for (const factor of [1, 2, 5]) if (factor * decade * cell >= lineHeight) return factor * decade;
}

/** The scroll, as near as possible to the present one, with which a cell is in view. */
export function scrollTo(layout: HeatmapLayout, scroll: Scroll, { query, key }: Cell): Scroll {
  const { cell, gutterLeft, gutterTop, viewWidth, viewHeight } = layout;
  const into = (start: number, from: number, room: number) => Math.min(start, Math.max(from, start + cell - room));
  return {
    left: into(key * cell, scroll.left, viewWidth - gutterLeft),
    top: into(query * cell, scroll.top, viewHeight - gutterTop),
  };
}

export interface MapSize {
  readonly queries: number;
  readonly keys: number;
  /** End goes to the last key that the query sees. */
  readonly isCausal: boolean;
}

/** Where a key of the keyboard moves the cursor; undefined for any other key. */
export function cursorAfterKey({ query, key }: Cell, size: MapSize, pressed: string): Cell | undefined {
  const clamp = (value: number, count: number) => Math.min(count - 1, Math.max(0, value));
  const moves: Record<string, Cell> = {
    ArrowLeft: { query, key: key - 1 },
    ArrowRight: { query, key: key + 1 },
    ArrowUp: { query: query - 1, key },
    ArrowDown: { query: query + 1, key },
    PageUp: { query: query - 10, key },
    PageDown: { query: query + 10, key },
    Home: { query, key: 0 },
    End: { query, key: size.isCausal ? query : size.keys - 1 },
  };
  const move = moves[pressed];
  return move && { query: clamp(move.query, size.queries), key: clamp(move.key, size.keys) };
}
