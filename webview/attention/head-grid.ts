/** `<attention-head-grid>`: a thumbnail of every head; one is chosen. Sends `head-choose`. */
import { html, type PropertyValues } from 'lit';
import { PageElement, send } from '../ui/page-element.ts';
import { isDarkTheme, readThemeKind, themeColor } from '../ui/theme.ts';
import {
  gridGutterLeft,
  gridGutterTop,
  groupOf,
  type HeadAddress,
  type HeadGridLayout,
  hasGroups,
  headAfterKey,
  headAt,
  layoutHeadGrid,
  thumbLeft,
  thumbTop,
} from './head-grid-geometry.ts';
import { createPalette, type Scale, stepOf } from './heat-palette.ts';
import { toBitmap } from './heatmap-canvas.ts';

/** Largest weights, 0..255, of the heads of one layer: [head, row, column]. */
export interface LayerThumbnails {
  readonly pixels: Uint8Array;
  readonly size: number;
}

export class AttentionHeadGrid extends PageElement {
  static override properties = {
    layers: { type: Number },
    heads: { type: Number },
    kvHeads: { type: Number },
    isCausal: { type: Boolean },
    chosen: { attribute: false },
    thumbnails: { attribute: false },
    /** Counts the layers that came, so that each is a reason to draw. */
    loaded: { type: Number },
    scale: {},
    themeVersion: { type: Number },
  };

  declare layers: number;
  declare heads: number;
  declare kvHeads: number;
  declare isCausal: boolean;
  declare chosen: HeadAddress;
  declare thumbnails: ReadonlyMap<number, LayerThumbnails>;
  declare loaded: number;
  declare scale: Scale;
  declare themeVersion: number;

  #layout: HeadGridLayout | undefined;
  #hovered: HeadAddress | undefined;
  readonly #bitmaps = new Map<LayerThumbnails, HTMLCanvasElement>();
  readonly #resize = new ResizeObserver(() => this.#draw());

  override connectedCallback(): void {
    super.connectedCallback();
    this.#resize.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
  }

  override render() {
    const { layer, head } = this.chosen;
    return html`<div
      class="head-grid-box" tabindex="0" role="application" aria-roledescription="grid of attention heads"
      aria-label=${`Layer ${layer}, head ${head}. Arrow keys choose among ${this.layers} layers and ${this.heads} heads.`}
      @keydown=${this.#onKey}
    ><canvas @click=${this.#onClick} @pointermove=${this.#onPointer} @pointerleave=${this.#onPointer}></canvas></div>`;
  }

  override updated(changed: PropertyValues): void {
    if (changed.has('thumbnails') || changed.has('scale') || changed.has('themeVersion')) this.#bitmaps.clear();
    this.#draw();
    if (changed.has('chosen') || changed.has('layers')) this.#reveal();
  }

  readonly #draw = (): void => {
    const canvas = this.querySelector('canvas');
    const box = this.querySelector<HTMLElement>('.head-grid-box');
    const context = canvas?.getContext('2d');
    if (!canvas || !box || !context || box.clientWidth === 0) return;
    const { layers, heads, kvHeads } = this;
    const layout = layoutHeadGrid({ layers, heads, kvHeads, width: box.clientWidth - 4 });
    this.#layout = layout;
    const pixelRatio = window.devicePixelRatio || 1;
    canvas.width = Math.round(layout.contentWidth * pixelRatio);
    canvas.height = Math.round(layout.contentHeight * pixelRatio);
    canvas.style.width = `${layout.contentWidth}px`;
    canvas.style.height = `${layout.contentHeight}px`;
    context.scale(pixelRatio, pixelRatio);
    this.#drawThumbnails(context, layout);
    this.#drawLabels(context, layout);
    if (this.#hovered) this.#drawRing(context, layout, this.#hovered, 1);
    this.#drawRing(context, layout, this.chosen, 2);
  };

  #drawThumbnails(context: CanvasRenderingContext2D, layout: HeadGridLayout): void {
    for (let layer = 0; layer < layout.layers; layer++) {
      const thumbnails = this.thumbnails.get(layer);
      const bitmap = thumbnails && this.#bitmap(thumbnails);
      for (let head = 0; head < layout.heads; head++) {
        const [x, y, side] = [thumbLeft(layout, head), thumbTop(layout, layer), layout.thumb];
        context.globalAlpha = 0.12;
        context.fillStyle = themeColor('foreground', 'gray');
        context.fillRect(x, y, side, side);
        context.globalAlpha = 1;
        if (!bitmap || !thumbnails) continue;
        const { size } = thumbnails;
        context.imageSmoothingEnabled = false;
        context.drawImage(bitmap, 0, head * size, size, size, x, y, side, side);
      }
    }
  }

  /** All heads of a layer below each other. Above the diagonal of causal ones there is no weight, and no colour. */
  #bitmap(thumbnails: LayerThumbnails): HTMLCanvasElement {
    const known = this.#bitmaps.get(thumbnails);
    if (known) return known;
    const { pixels, size } = thumbnails;
    const palette = createPalette(readThemeKind());
    const image = new ImageData(Math.max(1, size), Math.max(1, pixels.length / Math.max(1, size)));
    // A thumbnail holds no row sums, so the scale of rows is drawn as the linear one.
    const scale = this.scale === 'row' ? 'linear' : this.scale;
    const steps = Array.from({ length: 256 }, (_, value) => stepOf(value / 255, scale));
    pixels.forEach((value, index) => {
      const [column, row] = [index % size, Math.floor(index / size) % size];
      if (this.isCausal && column > row) return;
      const from = (steps[value] ?? 0) * 3;
      image.data.set(palette.subarray(from, from + 3), index * 4);
      image.data[index * 4 + 3] = 255;
    });
    const bitmap = toBitmap(image);
    this.#bitmaps.set(thumbnails, bitmap);
    return bitmap;
  }

  #drawLabels(context: CanvasRenderingContext2D, layout: HeadGridLayout): void {
    const { layer: chosenLayer, head: chosenHead } = this.chosen;
    const [muted, strong] = [themeColor('descriptionForeground', 'gray'), themeColor('foreground', 'gray')];
    const write = (text: string, x: number, y: number, isChosen: boolean) => {
      context.font = `${isChosen ? 'bold ' : ''}10px ${themeColor('font-family', 'sans-serif')}`;
      context.fillStyle = isChosen ? strong : muted;
      context.fillText(text, x, y);
    };
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    for (let layer = 0; layer < layout.layers; layer++)
      write(String(layer), gridGutterLeft - 6, thumbTop(layout, layer) + layout.thumb / 2, layer === chosenLayer);
    context.textAlign = 'center';
    for (let head = 0; head < layout.heads; head++)
      write(String(head), thumbLeft(layout, head) + layout.thumb / 2, gridGutterTop - 7, head === chosenHead);
    if (hasGroups(layout)) this.#drawGroups(context, layout, write);
  }

  #drawGroups(
    context: CanvasRenderingContext2D,
    layout: HeadGridLayout,
    write: (text: string, x: number, y: number, isChosen: boolean) => void,
  ): void {
    const chosen = groupOf(layout, this.chosen.head);
    for (let first = 0, head = 1; head <= layout.heads; head++) {
      const group = groupOf(layout, first);
      if (head < layout.heads && groupOf(layout, head) === group) continue;
      const [left, right] = [thumbLeft(layout, first), thumbLeft(layout, head - 1) + layout.thumb];
      context.fillStyle = themeColor(group === chosen ? 'foreground' : 'descriptionForeground', 'gray');
      context.fillRect(left, gridGutterTop - 16, right - left, 1);
      const name = right - left >= 34 ? `KV ${group}` : String(group);
      write(name, (left + right) / 2, 7, group === chosen);
      first = head;
    }
  }

  #drawRing(context: CanvasRenderingContext2D, layout: HeadGridLayout, at: HeadAddress, width: number): void {
    const [x, y, side] = [thumbLeft(layout, at.head), thumbTop(layout, at.layer), layout.thumb];
    context.lineWidth = width + 1;
    context.strokeStyle = themeColor('sideBar-background', isDarkTheme() ? 'black' : 'white');
    context.strokeRect(x, y, side, side);
    context.lineWidth = width;
    context.strokeStyle = themeColor(width > 1 ? 'glasshead-attentionToken' : 'focusBorder', 'gray');
    context.strokeRect(x - 0.5, y - 0.5, side + 1, side + 1);
  }

  #reveal(): void {
    const box = this.querySelector<HTMLElement>('.head-grid-box');
    if (!box || !this.#layout) return;
    const { thumb } = this.#layout;
    const top = thumbTop(this.#layout, this.chosen.layer);
    const left = thumbLeft(this.#layout, this.chosen.head);
    const into = (start: number, from: number, room: number, margin: number) =>
      Math.max(0, Math.min(start - margin, Math.max(from, start + thumb + 4 - room)));
    box.scrollTop = into(top, box.scrollTop, box.clientHeight, gridGutterTop);
    box.scrollLeft = into(left, box.scrollLeft, box.clientWidth, gridGutterLeft);
  }

  readonly #onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const next = headAfterKey(this, this.chosen, event.key);
    if (!next) return;
    event.preventDefault();
    send(this, 'head-choose', next);
  };

  readonly #onClick = (event: MouseEvent): void => {
    const hit = this.#layout && headAt(this.#layout, event.offsetX, event.offsetY);
    if (hit) send(this, 'head-choose', hit);
  };

  readonly #onPointer = (event: PointerEvent): void => {
    const isOver = event.type === 'pointermove';
    this.#hovered = isOver && this.#layout ? headAt(this.#layout, event.offsetX, event.offsetY) : undefined;
    const canvas = event.currentTarget as HTMLCanvasElement;
    canvas.title = this.#hovered ? this.#nameOf(this.#hovered) : '';
    this.#draw();
  };

  #nameOf({ layer, head }: HeadAddress): string {
    const name = `Layer ${layer}, head ${head}`;
    const { layers, heads, kvHeads } = this;
    const frame = { layers, heads, kvHeads, width: 0 };
    return hasGroups(frame) ? `${name}; shares keys and values in group KV ${groupOf(frame, head)}` : name;
  }
}
