/** How the tokens of a vision model lie on its picture: a grid of patches, row by row, behind tokens that are none. */
import * as v from 'valibot';

export interface PatchGrid {
  readonly rows: number;
  readonly columns: number;
  /** Tokens before the patches: [CLS], [DIST], registers. */
  readonly firstPatch: number;
}

export interface PatchQuestion {
  /** Of the picture as the model sees it, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Numbers of tokens that attentions of the run have. */
  readonly counts: readonly number[];
  readonly config: Readonly<Record<string, unknown>>;
}

/** More tokens than these before the patches: it is something else. DINOv2 has 5 with its registers. */
const mostBefore = 16;

const size = v.pipe(v.number(), v.integer(), v.minValue(1));
const patchSchema = v.looseObject({
  model_type: v.fallback(v.optional(v.string()), undefined),
  patch_size: v.fallback(v.nullish(v.union([size, v.array(size)])), undefined),
  vision_config: v.optional(
    v.looseObject({ patch_size: v.fallback(v.nullish(v.union([size, v.array(size)])), undefined) }),
  ),
});

/** Undefined when no attention of the run has as many tokens as the picture has patches, and a few before them. */
export function findPatches({ width, height, counts, config }: PatchQuestion): PatchGrid | undefined {
  const parsed = v.safeParse(patchSchema, config);
  const told = parsed.success ? (parsed.output.patch_size ?? parsed.output.vision_config?.patch_size) : undefined;
  const [tall, wide] = Array.isArray(told) ? [told[0], told[1] ?? told[0]] : [told, told];
  if (tall && wide) {
    const [rows, columns] = [Math.floor(height / tall), Math.floor(width / wide)];
    const count = counts.find((one) => one >= rows * columns && one <= rows * columns + mostBefore);
    return count === undefined || rows * columns === 0
      ? undefined
      : { rows, columns, firstPatch: count - rows * columns };
  }
  for (const count of counts)
    for (const firstPatch of [1, 0, 2, 5]) {
      const side = Math.sqrt(count - firstPatch);
      if (width === height && Number.isInteger(side) && side > 1) return { rows: side, columns: side, firstPatch };
    }
  return undefined;
}

/** `[CLS]`, then `row,column` from 0 on. */
export function patchNames(
  count: number,
  grid: PatchGrid | undefined,
  config: Readonly<Record<string, unknown>>,
): string[] {
  if (!grid) return Array.from({ length: count }, (_, index) => String(index));
  const isDistilled = /^deit/.test(String(config.model_type ?? ''));
  const before = Array.from({ length: grid.firstPatch }, (_, index) => {
    if (index === 0) return '[CLS]';
    return isDistilled && index === 1 ? '[DIST]' : `[REG${index}]`;
  });
  const patches = Array.from(
    { length: grid.rows * grid.columns },
    (_, index) => `${Math.floor(index / grid.columns)},${index % grid.columns}`,
  );
  return [...before, ...patches];
}
