/** `<attention-heatmap>`: one head's weights, query by key. Sends `cell-hover`, `cell-choose`, `label-choose` and `zoom`. */
import { html, type PropertyValues } from 'lit';
import { type Direction, type HeadMap, keysOf } from '../../src/shared/attention/weights.ts';
import { PageElement, send } from '../ui/page-element.ts';
import { isDarkTheme, readThemeKind, themeColor } from '../ui/theme.ts';
import { createPalette, type Scale } from './heat-palette.ts';
import { drawHeatmap, type HeatmapColors, renderCells, toBitmap } from './heatmap-canvas.ts';
import {
  type Cell,
  cursorAfterKey,
  type HeatmapLayout,
  hitAt,
  layoutHeatmap,
  type Scroll,
  scrollTo,
} from './heatmap-geometry.ts';

const fontSize = 11;

export interface Mark {
  readonly token: number;
  readonly direction: Direction;
}

/** Who moved the cursor: what the keyboard does is read out, what the mouse does is not. */
export interface CursorMove {
  readonly cell: Cell | undefined;
  readonly by: 'mouse' | 'keyboard';
}

export class AttentionHeatmap extends PageElement {
  static override properties = {
    map: { attribute: false },
    queryLabels: { attribute: false },
    keyLabels: { attribute: false },
    name: {},
    scale: {},
    zoom: { type: Number },
    cursor: { attribute: false },
    mark: { attribute: false },
    themeVersion: { type: Number },
  };

  declare map: HeadMap;
  declare queryLabels: readonly string[];
  declare keyLabels: readonly string[];
  declare name: string;
  declare scale: Scale;
  declare zoom: number;
  declare cursor: Cell | undefined;
  declare mark: Mark | undefined;
  /** Counts the changes of theme: each is a reason to draw again. */
  declare themeVersion: number;

  #cells: HTMLCanvasElement | undefined;
  #layout: HeatmapLayout | undefined;
  #measured:
    | { readonly labels: readonly (readonly string[])[]; readonly font: string; readonly width: number }
    | undefined;
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
    return html`<div
      class="heatmap-scroller" tabindex="0" role="application" aria-roledescription="heatmap"
      aria-label=${`Attention weights of ${this.name}. Arrow keys move over query and key, Enter shades, Escape clears.`}
      @scroll=${this.#draw} @keydown=${this.#onKey} @focus=${this.#onFocus}
      @pointermove=${this.#onPointer} @pointerleave=${this.#onLeave} @click=${this.#onClick}
    ><canvas></canvas><div class="heatmap-content"></div></div>`;
  }

  override updated(changed: PropertyValues): void {
    if (changed.has('map') || changed.has('scale') || changed.has('themeVersion'))
      this.#cells = toBitmap(renderCells(this.map, this.scale, createPalette(readThemeKind())));
    this.#draw();
    if (changed.has('cursor') && this.cursor) this.#reveal(this.cursor);
  }

  get #scroller(): HTMLElement | null {
    return this.querySelector<HTMLElement>('.heatmap-scroller');
  }

  get #scroll(): Scroll {
    const { scrollLeft = 0, scrollTop = 0 } = this.#scroller ?? {};
    return { left: scrollLeft, top: scrollTop };
  }

  /** At once, never in a frame callback: a page that is not visible gets no frames. */
  readonly #draw = (): void => {
    const scroller = this.#scroller;
    const canvas = this.querySelector('canvas');
    if (!scroller || !canvas || !this.#cells || this.clientWidth === 0) return;
    const font = `${fontSize}px ${themeColor('editor-font-family', 'monospace')}`;
    const gutter = Math.round(Math.min(Math.max(54, this.#labelWidth(font)), 110, this.clientWidth * 0.32));
    const pixelRatio = window.devicePixelRatio || 1;
    const layout = layoutHeatmap({
      tokens: this.map.tokens,
      keys: keysOf(this.map),
      width: this.clientWidth,
      gutterLeft: gutter,
      gutterTop: gutter,
      zoom: this.zoom,
      pixelRatio,
    });
    this.#layout = layout;
    // Rounding must not make bars for nothing.
    scroller.style.overflow = layout.contentWidth > layout.viewWidth + 1 ? 'auto' : 'hidden';
    scroller.style.width = `${layout.viewWidth}px`;
    scroller.style.height = `${layout.viewHeight}px`;
    canvas.style.width = `${layout.viewWidth}px`;
    canvas.style.height = `${layout.viewHeight}px`;
    canvas.dataset.cell = String(layout.cell);
    const content = scroller.querySelector<HTMLElement>('.heatmap-content');
    if (content)
      Object.assign(content.style, { width: `${layout.contentWidth}px`, height: `${layout.contentHeight}px` });
    drawHeatmap(canvas, this.#cells, {
      layout,
      scroll: this.#scroll,
      queryLabels: this.queryLabels,
      keyLabels: this.keyLabels,
      colors: readColors(),
      font,
      pixelRatio,
      cursor: this.cursor,
      mark: this.mark && { axis: this.mark.direction === 'attends' ? 'query' : 'key', token: this.mark.token },
    });
  };

  /** Of the longest label, with a margin; measured once a text, for every move of the mouse draws. */
  #labelWidth(font: string): number {
    const { queryLabels, keyLabels } = this;
    const [queries, keys] = this.#measured?.labels ?? [];
    if (this.#measured?.font === font && queries === queryLabels && keys === keyLabels) return this.#measured.width;
    const context = document.createElement('canvas').getContext('2d');
    if (!context) return 0;
    context.font = font;
    const longest = [...queryLabels, ...keyLabels].reduce(
      (most, label) => Math.max(most, context.measureText(label).width),
      0,
    );
    this.#measured = { labels: [queryLabels, keyLabels], font, width: Math.ceil(longest) + 12 };
    return this.#measured.width;
  }

  #reveal(cell: Cell): void {
    const scroller = this.#scroller;
    if (!scroller || !this.#layout) return;
    // What the scroll bars cover is not in view.
    const view = { viewWidth: scroller.clientWidth, viewHeight: scroller.clientHeight };
    const { left, top } = scrollTo({ ...this.#layout, ...view }, this.#scroll, cell);
    if (left !== scroller.scrollLeft || top !== scroller.scrollTop) scroller.scrollTo(left, top);
  }

  #hit(event: MouseEvent) {
    const box = this.#scroller?.getBoundingClientRect();
    if (!box || !this.#layout) return undefined;
    return hitAt(this.#layout, this.#scroll, event.clientX - box.left, event.clientY - box.top);
  }

  #move(cell: Cell | undefined, by: CursorMove['by']): void {
    send<CursorMove>(this, 'cell-hover', { cell, by });
  }

  readonly #onPointer = (event: PointerEvent): void => {
    const hit = this.#hit(event);
    if (this.#scroller) this.#scroller.style.cursor = hit ? 'pointer' : 'default';
    this.#move(hit?.kind === 'cell' ? { query: hit.query, key: hit.key } : undefined, 'mouse');
  };

  readonly #onLeave = (): void => {
    if (!this.#scroller?.matches(':focus-visible')) this.#move(undefined, 'mouse');
  };

  readonly #onFocus = (): void => {
    if (!this.cursor && this.#scroller?.matches(':focus-visible')) this.#move({ query: 0, key: 0 }, 'keyboard');
  };

  readonly #onClick = (event: MouseEvent): void => {
    const hit = this.#hit(event);
    if (hit?.kind === 'cell') send<Cell>(this, 'cell-choose', { query: hit.query, key: hit.key });
    else if (hit)
      send<Mark>(this, 'label-choose', {
        token: hit.token,
        direction: hit.kind === 'query' ? 'attends' : 'attended',
      });
  };

  readonly #onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const cursor = this.cursor ?? { query: 0, key: 0 };
    const { tokens: queries, isBidirectional } = this.map;
    const size = { queries, keys: keysOf(this.map), isCausal: !isBidirectional };
    const moved = cursorAfterKey(cursor, size, event.key);
    if (moved) this.#move(moved, 'keyboard');
    else if (event.key === 'Enter' || event.key === ' ') send<Cell>(this, 'cell-choose', cursor);
    else if (event.key === '+' || event.key === '-') send(this, 'zoom', event.key === '+' ? 1 : -1);
    else return;
    event.preventDefault();
  };
}

function readColors(): HeatmapColors {
  const isDark = isDarkTheme();
  return {
    foreground: themeColor('foreground', isDark ? 'white' : 'black'),
    muted: themeColor('descriptionForeground', 'gray'),
    background: themeColor('sideBar-background', isDark ? 'black' : 'white'),
    focus: themeColor('focusBorder', 'gray'),
    mark: themeColor('glasshead-attentionToken', 'gray'),
  };
}
