/** Draws a heatmap into a canvas: what is in view, from geometry and colours it is given. Holds no state but its image. */
import { shortLabel } from '../../src/shared/attention/token-label.ts';
import { type HeadMap, isVisible, keysOf } from '../../src/shared/attention/weights.ts';
import { type Scale, stepOf } from './heat-palette.ts';
import { type Cell, columnLeft, type HeatmapLayout, labelStep, rowTop, type Scroll } from './heatmap-geometry.ts';

export interface HeatmapColors {
  readonly foreground: string;
  readonly muted: string;
  readonly background: string;
  readonly focus: string;
  readonly mark: string;
}

export interface HeatmapPicture {
  readonly layout: HeatmapLayout;
  readonly scroll: Scroll;
  readonly queryLabels: readonly string[];
  readonly keyLabels: readonly string[];
  readonly colors: HeatmapColors;
  readonly font: string;
  readonly pixelRatio: number;
  /** Under the mouse or the keyboard. */
  readonly cursor: Cell | undefined;
  /** The row or column that is shaded in the text. */
  readonly mark: { readonly axis: 'query' | 'key'; readonly token: number } | undefined;
}

const lineHeight = 12;

/** One pixel a cell; cells without a weight stay transparent, so that what lies below them shows. */
export function renderCells(map: HeadMap, scale: Scale, palette: Uint8Array): ImageData {
  const { tokens, weights } = map;
  const keys = keysOf(map);
  const image = new ImageData(Math.max(1, keys), Math.max(1, tokens));
  for (let query = 0; query < tokens; query++) {
    const row = weights.subarray(query * keys, query * keys + keys);
    const largest = scale === 'row' ? row.reduce((most, weight) => Math.max(most, weight), 0) || 1 : 1;
    for (let key = 0; key < keys; key++) {
      if (!isVisible(map, query, key)) continue;
      const from = stepOf(row[key] ?? 0, scale, largest) * 3;
      const to = (query * keys + key) * 4;
      image.data.set(palette.subarray(from, from + 3), to);
      image.data[to + 3] = 255;
    }
  }
  return image;
}

export function toBitmap(image: ImageData): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  return canvas;
}

export function drawHeatmap(canvas: HTMLCanvasElement, cells: HTMLCanvasElement, picture: HeatmapPicture): void {
  const { layout, pixelRatio } = picture;
  canvas.width = Math.round(layout.viewWidth * pixelRatio);
  canvas.height = Math.round(layout.viewHeight * pixelRatio);
  const context = canvas.getContext('2d');
  if (!context) return;
  context.scale(pixelRatio, pixelRatio);
  context.font = picture.font;
  context.textBaseline = 'middle';
  context.direction = 'ltr';
  drawCells(context, cells, picture);
  drawMarks(context, picture);
  drawAxes(context, picture);
}

function drawCells(context: CanvasRenderingContext2D, cells: HTMLCanvasElement, picture: HeatmapPicture): void {
  const { layout, scroll, colors } = picture;
  const { cell, tokens, keys, gutterLeft, gutterTop, viewWidth, viewHeight } = layout;
  const width = Math.min(viewWidth - gutterLeft, keys * cell - scroll.left);
  const height = Math.min(viewHeight - gutterTop, tokens * cell - scroll.top);
  context.save();
  context.beginPath();
  context.rect(gutterLeft, gutterTop, width, height);
  context.clip();
  fillHatched(context, picture);
  context.imageSmoothingEnabled = false;
  context.drawImage(cells, gutterLeft - scroll.left, gutterTop - scroll.top, keys * cell, tokens * cell);
  if (cell >= 9) {
    context.fillStyle = colors.background;
    const thin = 1 / picture.pixelRatio;
    for (let key = 1; key < keys; key++) context.fillRect(columnLeft(layout, scroll, key), gutterTop, thin, height);
    for (let query = 1; query < tokens; query++)
      context.fillRect(gutterLeft, rowTop(layout, scroll, query), width, thin);
  }
  context.restore();
}

/** Below the cells: the sign for "no weight", which no weight's colour can be mistaken for. */
function fillHatched(context: CanvasRenderingContext2D, { layout, colors }: HeatmapPicture): void {
  const { gutterLeft, gutterTop, viewWidth, viewHeight } = layout;
  context.strokeStyle = colors.muted;
  context.globalAlpha = 0.45;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = gutterLeft - viewHeight; x < viewWidth; x += 6) {
    context.moveTo(x, viewHeight);
    context.lineTo(x + viewHeight - gutterTop, gutterTop);
  }
  context.stroke();
  context.globalAlpha = 1;
}

function drawMarks(context: CanvasRenderingContext2D, picture: HeatmapPicture): void {
  const { layout, scroll, cursor, mark, colors } = picture;
  const { cell, tokens, keys, gutterLeft, gutterTop, viewWidth, viewHeight } = layout;
  context.save();
  context.beginPath();
  context.rect(gutterLeft - 2, gutterTop - 2, viewWidth - gutterLeft + 2, viewHeight - gutterTop + 2);
  context.clip();
  if (mark) {
    context.strokeStyle = colors.mark;
    context.lineWidth = 2;
    if (mark.axis === 'query')
      context.strokeRect(gutterLeft - scroll.left, rowTop(layout, scroll, mark.token), keys * cell, cell);
    else context.strokeRect(columnLeft(layout, scroll, mark.token), gutterTop - scroll.top, cell, tokens * cell);
  }
  if (cursor) {
    const grow = Math.max(0, 5 - cell) / 2; // a cell of one pixel needs a ring that can be seen
    const [x, y] = [columnLeft(layout, scroll, cursor.key) - grow, rowTop(layout, scroll, cursor.query) - grow];
    const side = cell + 2 * grow;
    // Two rings: one of them stands out from any colour of the palette.
    context.lineWidth = 3;
    context.strokeStyle = colors.background;
    context.strokeRect(x, y, side, side);
    context.lineWidth = 1.5;
    context.strokeStyle = colors.focus;
    context.strokeRect(x, y, side, side);
  }
  context.restore();
}

function drawAxes(context: CanvasRenderingContext2D, picture: HeatmapPicture): void {
  const { layout, cursor, mark, colors } = picture;
  const { gutterLeft, gutterTop } = layout;
  const step = labelStep(layout.cell, lineHeight);
  const emphasised = { query: [cursor?.query], key: [cursor?.key] };
  if (mark) emphasised[mark.axis].push(mark.token);
  for (const axis of ['query', 'key'] as const) {
    for (let token = 0; token < (axis === 'query' ? layout.tokens : layout.keys); token += step)
      drawLabel(context, picture, { axis, token, color: colors.muted });
    for (const token of emphasised[axis])
      if (token !== undefined) drawLabel(context, picture, { axis, token, color: colors.foreground, isOnTop: true });
  }
  context.clearRect(0, 0, gutterLeft, gutterTop);
  context.fillStyle = colors.muted;
  context.textAlign = 'right';
  context.fillText('key →', gutterLeft - 4, gutterTop - 20);
  context.fillText('query ↓', gutterLeft - 4, gutterTop - 7);
}

interface Label {
  readonly axis: 'query' | 'key';
  readonly token: number;
  readonly color: string;
  /** Covers its neighbours. */
  readonly isOnTop?: boolean;
}

function drawLabel(context: CanvasRenderingContext2D, picture: HeatmapPicture, label: Label): void {
  const { layout, scroll, queryLabels, keyLabels, colors } = picture;
  const { cell, gutterLeft, gutterTop, viewWidth, viewHeight } = layout;
  const isQuery = label.axis === 'query';
  const room = (isQuery ? gutterLeft : gutterTop) - 6;
  const middle = (isQuery ? rowTop(layout, scroll, label.token) : columnLeft(layout, scroll, label.token)) + cell / 2;
  if (middle < (isQuery ? gutterTop : gutterLeft) || middle > (isQuery ? viewHeight : viewWidth)) return;
  context.save();
  if (isQuery) context.translate(gutterLeft - 4, middle);
  else {
    context.translate(middle, gutterTop - 4);
    context.rotate(-Math.PI / 2);
  }
  context.textAlign = isQuery ? 'right' : 'left';
  const text = fitLabel(context, (isQuery ? queryLabels : keyLabels)[label.token] ?? '', room);
  if (label.isOnTop) {
    context.fillStyle = colors.background;
    context.fillRect(isQuery ? -room - 2 : 0, -lineHeight / 2, room + 2, lineHeight);
  }
  context.fillStyle = label.color;
  context.fillText(text, 0, 0);
  context.restore();
}

/** Cut to the room in pixels, for characters differ in width. */
function fitLabel(context: CanvasRenderingContext2D, label: string, room: number): string {
  for (let length = Math.min(24, [...label].length); length > 1; length--) {
    const text = shortLabel(label, length);
    if (context.measureText(text).width <= room) return text;
  }
  return shortLabel(label, 1);
}
