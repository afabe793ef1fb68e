/**
 * What the page knows: the state that its controller sends, the map in view, the thumbnails that came so far, and the
 * reader's own choices of scale, zoom and cursor. Calls back after every change.
 */
import { isCancelled, toAppError } from '../../src/shared/app-error.ts';
import { type Direction, type HeadMap, keysOf } from '../../src/shared/attention/weights.ts';
import type { attentionHostContract, HeadTest, PanelState, ShownState } from '../../src/shared/attention-contract.ts';
import type { Caller } from '../../src/shared/peer.ts';
import type { LayerThumbnails } from './head-grid.ts';
import type { HeadAddress } from './head-grid-geometry.ts';
import { type Scale, scales } from './heat-palette.ts';
import type { CursorMove } from './heatmap.ts';

type Host = Caller<typeof attentionHostContract>;

/** Asked for together: few enough that the engine turns to other work in between. */
const layersAtOnce = 2;
const thumbnailSize = 28;

export interface ShownMap extends HeadMap, HeadAddress {
  readonly stack: number;
}

export interface Kept {
  readonly scale: Scale;
  readonly direction: Direction;
}

export class PanelModel {
  readonly #host: Host;
  readonly #onChange: () => void;
  readonly #keep: (kept: Kept) => void;
  #thumbnailAbort = new AbortController();
  /** The head that was asked for last. */
  #wanted: HeadAddress | undefined;
  #pendingChoices = 0;
  #isMapLoading = false;

  state: PanelState | undefined;
  map: ShownMap | undefined;
  thumbnails = new Map<number, LayerThumbnails>();
  /** Of the picture in view: [row, column, RGBA]. */
  pixels: Uint8Array | undefined;
  cursor: CursorMove | undefined;
  scale: Scale = 'doubling';
  direction: Direction = 'attends';
  zoom = 0;
  /** A sentence, when the host could not be asked. */
  problem: string | undefined;

  constructor(host: Host, onChange: () => void, keep: (kept: Kept) => void) {
    this.#host = host;
    this.#onChange = onChange;
    this.#keep = keep;
  }

  get isMapLoading(): boolean {
    return this.#isMapLoading;
  }

  /** The head in the selectors: the one asked for, which the map may not show yet. */
  get chosen(): HeadAddress {
    const { layer = 0, head = 0 } = this.#shown ?? {};
    return this.#wanted ?? { layer, head };
  }

  get #shown(): ShownState | undefined {
    return this.state?.kind === 'shown' ? this.state : undefined;
  }

  async start(kept: unknown): Promise<void> {
    const { scale, direction } = (kept ?? {}) as Partial<Kept>;
    if (scale && scales.includes(scale)) this.scale = scale;
    if (direction === 'attended') this.direction = direction;
    await this.#try(async () => this.receive(await this.#host.call('ready', undefined)));
  }

  receive(state: PanelState): void {
    const before = this.#shown;
    this.state = state;
    this.problem = undefined;
    if (state.kind !== 'shown') this.#forget();
    else if (before?.inspectionId !== state.inspectionId || before.stack !== state.stack) {
      this.#forget();
      if (before?.inspectionId !== state.inspectionId) this.pixels = undefined;
      if (state.picture && !this.pixels) void this.#loadPicture(state.inspectionId);
      void this.#loadMap().then(() => this.#loadThumbnails(state));
    } else this.#follow();
    if (state.kind === 'shown' && state.shading) this.direction = state.shading.direction;
    this.#onChange();
  }

  /** Brings a head into view, here at once and in the controller, which may have another idea later. */
  async show(wanted: HeadAddress): Promise<void> {
    const inspectionId = this.#shown?.inspectionId;
    if (inspectionId === undefined) return;
    const { layer, head } = wanted;
    this.#wanted = { layer, head };
    this.#pendingChoices++;
    void this.#loadMap();
    await this.#try(() => this.#host.call('choose', { inspectionId, layer, head }));
    this.#pendingChoices--;
    this.#follow();
  }

  /** The controller's head is the one in view, but for choices of ours that it has not heard of yet. */
  #follow(): void {
    if (this.#pendingChoices > 0) return;
    this.#wanted = undefined;
    void this.#loadMap();
  }

  /** Quick steps skip what lies between: one map is asked for at a time. */
  async #loadMap(): Promise<void> {
    this.#onChange();
    if (this.#isMapLoading) return;
    this.#isMapLoading = true;
    let isWell = true;
    while (
      isWell &&
      this.#shown &&
      !(this.map && this.map.stack === this.#shown.stack && isSame(this.map, this.chosen))
    ) {
      const { inspectionId, stack } = this.#shown;
      const { layer, head } = this.chosen;
      const isStill = () => this.#shown?.inspectionId === inspectionId && this.#shown.stack === stack;
      isWell = await this.#try(async () => {
        const map = await this.#host.call('map', { inspectionId, stack, layer, head });
        if (isStill()) this.map = { ...map, stack, layer, head };
      });
      if (!isStill()) isWell = true; // the problem of a text that is gone
    }
    this.#isMapLoading = false;
    this.#onChange();
  }

  async #loadPicture(inspectionId: number): Promise<void> {
    await this.#try(async () => {
      const { pixels } = await this.#host.call('picture', { inspectionId });
      if (this.#shown?.inspectionId === inspectionId) this.pixels = pixels;
      this.#onChange();
    });
  }

  /** Shades a token's row or column; the same again takes it back. */
  async choose(token: number, direction: Direction = this.direction): Promise<void> {
    const shown = this.#shown;
    if (!shown) return;
    if (shown.shading?.token === token && shown.shading.direction === direction) return this.order('clearShading');
    this.setDirection(direction, { isQuiet: true });
    await this.#try(() => this.#host.call('shade', { inspectionId: shown.inspectionId, token, direction }));
  }

  /** Brings another attention of the model into view. */
  async showStack(stack: number): Promise<void> {
    const inspectionId = this.#shown?.inspectionId;
    if (inspectionId !== undefined) await this.#try(() => this.#host.call('chooseStack', { inspectionId, stack }));
  }

  setDirection(direction: Direction, { isQuiet = false } = {}): void {
    if (direction === this.direction) return;
    this.direction = direction;
    this.#keepChoices();
    const token = this.#shown?.shading?.token;
    if (token !== undefined && !isQuiet) void this.choose(token, direction);
    this.#onChange();
  }

  setScale(scale: Scale): void {
    this.scale = scale;
    this.#keepChoices();
    this.#onChange();
  }

  setZoom(zoom: number): void {
    this.zoom = Math.max(0, zoom);
    this.#onChange();
  }

  setCursor(cursor: CursorMove | undefined): void {
    this.cursor = cursor;
    this.#onChange();
  }

  async order(
    name: 'inspectSelection' | 'inspectFirst' | 'retry' | 'cancel' | 'openSettings' | 'clearShading',
  ): Promise<void> {
    await this.#try(() => this.#host.call(name, undefined));
  }

  /** What the prediction behind a token loses without a head; rejects as the host does. */
  testHead(place: HeadAddress & { readonly token: number }, signal: AbortSignal): Promise<HeadTest> {
    return this.#host.call('testHead', { inspectionId: this.#shown?.inspectionId ?? 0, ...place }, { signal });
  }

  /** From the layer in view outwards, a few at a time. */
  async #loadThumbnails({ inspectionId, stack, layers, layer }: ShownState): Promise<void> {
    const { signal } = this.#thumbnailAbort;
    const longer = this.map ? Math.max(this.map.tokens, keysOf(this.map)) : thumbnailSize;
    const size = Math.max(1, Math.min(thumbnailSize, longer));
    const order = Array.from({ length: layers }, (_, index) => index);
    order.sort((a, b) => Math.abs(a - layer) - Math.abs(b - layer));
    for (let from = 0; from < layers && !signal.aborted; from += layersAtOnce) {
      const part = order.slice(from, from + layersAtOnce);
      const isDone = await this.#try(async () => {
        const { pixels, size: side } = await this.#host.call(
          'thumbnails',
          { inspectionId, stack, layers: part, size },
          { signal },
        );
        if (signal.aborted) return;
        const length = pixels.length / part.length;
        part.forEach((one, index) => {
          this.thumbnails.set(one, { pixels: pixels.subarray(index * length, (index + 1) * length), size: side });
        });
        this.#onChange();
      });
      if (!isDone) return;
    }
  }

  #forget(): void {
    this.#thumbnailAbort.abort();
    this.#thumbnailAbort = new AbortController();
    this.#wanted = undefined;
    this.map = undefined;
    this.thumbnails = new Map();
    this.cursor = undefined;
    this.zoom = 0;
  }

  /** A problem of an inspection that is gone is nobody's; one that its controller shows comes with the next state. */
  async #try(work: () => Promise<unknown>): Promise<boolean> {
    const inspectionId = this.#shown?.inspectionId;
    try {
      await work();
      return true;
    } catch (thrown) {
      if (isCancelled(thrown) || this.#shown?.inspectionId !== inspectionId) return false;
      this.problem = toAppError(thrown).message;
      this.#onChange();
      return false;
    }
  }

  #keepChoices(): void {
    this.#keep({ scale: this.scale, direction: this.direction });
  }
}

function isSame(a: HeadAddress, b: HeadAddress): boolean {
  return a.layer === b.layer && a.head === b.head;
}
