/** Where the thumbnails of all heads stand: a row a layer, a column a head, a gap between key/value groups. Pure. */

export interface HeadGridFrame {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Room for it; a model with more heads than fit makes the grid wider. */
  readonly width: number;
}

export interface HeadGridLayout extends HeadGridFrame {
  readonly thumb: number;
  readonly contentWidth: number;
  readonly contentHeight: number;
}

export interface HeadAddress {
  readonly layer: number;
  readonly head: number;
}

export const gridGutterLeft = 26;
export const gridGutterTop = 30;
const gap = 2;
const groupGap = 8;
const smallestThumb = 14;
const largestThumb = 44;

/** Heads that share one key and one value head stand together; each head is a group when none does. */
export function groupOf({ heads, kvHeads }: HeadGridFrame, head: number): number {
  return Math.floor(head / Math.max(1, heads / Math.max(1, kvHeads)));
}

/** Whether heads share keys and values at all. */
export function hasGroups({ heads, kvHeads }: HeadGridFrame): boolean {
  return kvHeads > 0 && kvHeads < heads;
}

export function layoutHeadGrid(frame: HeadGridFrame): HeadGridLayout {
  const { layers, heads, kvHeads, width } = frame;
  const extra = hasGroups(frame) ? (kvHeads - 1) * groupGap : 0;
  const room = width - gridGutterLeft - extra - heads * gap;
  const thumb = Math.max(smallestThumb, Math.min(largestThumb, Math.floor(room / Math.max(1, heads))));
  return {
    ...frame,
    thumb,
    contentWidth: gridGutterLeft + heads * (thumb + gap) + extra,
    contentHeight: gridGutterTop + layers * (thumb + gap),
  };
}

export function thumbLeft(layout: HeadGridLayout, head: number): number {
  const extra = hasGroups(layout) ? groupOf(layout, head) * groupGap : 0;
  return gridGutterLeft + head * (layout.thumb + gap) + extra;
}

export function thumbTop(layout: HeadGridLayout, layer: number): number {
  return gridGutterTop + layer * (layout.thumb + gap);
}

export function headAt(layout: HeadGridLayout, x: number, y: number): HeadAddress | undefined {
  const layer = Math.floor((y - gridGutterTop) / (layout.thumb + gap));
  if (layer < 0 || layer >= layout.layers) return undefined;
  for (let head = 0; head < layout.heads; head++) {
    const left = thumbLeft(layout, head);
    if (x >= left && x < left + layout.thumb + gap) return { layer, head };
  }
  return undefined;
}

/** Where a key of the keyboard moves; undefined for any other key. */
export function headAfterKey(
  { layers, heads }: Pick<HeadGridFrame, 'layers' | 'heads'>,
  { layer, head }: HeadAddress,
  pressed: string,
): HeadAddress | undefined {
  const moves: Record<string, HeadAddress> = {
    ArrowLeft: { layer, head: head - 1 },
    ArrowRight: { layer, head: head + 1 },
    ArrowUp: { layer: layer - 1, head },
    ArrowDown: { layer: layer + 1, head },
    PageUp: { layer: layer - 5, head },
    PageDown: { layer: layer + 5, head },
    Home: { layer, head: 0 },
    End: { layer, head: heads - 1 },
  };
  const move = moves[pressed];
  const clamp = (value: number, count: number) => Math.min(count - 1, Math.max(0, value));
  return move && { layer: clamp(move.layer, layers), head: clamp(move.head, heads) };
}
