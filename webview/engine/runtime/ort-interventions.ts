/** Gates and patches of a run as the inputs that the edited graph has for them: output * gate + patch, row by row. */
import type { HeadPatch, Intervention } from '../decoder.ts';
import type { AttentionSite } from '../graph/attention-site.ts';
import { editFeed, type Feed } from '../graph/edit-feeds.ts';

export interface RunShape {
  readonly heads: number;
  readonly headDim: number;
  /** Tokens in the cache before the run, and those of the run. */
  readonly past: number;
  readonly tokens: number;
}

/** What to feed one site's gate and patch; inputs that nothing is asked of are fed what changes nothing. */
export function interventionFeeds(
  site: AttentionSite,
  layer: number,
  { gates, patches = [] }: Intervention,
  shape: RunShape,
): Feed[] {
  const { heads } = shape;
  const own = patches.filter((patch) => patch.layer === layer);
  const gate = gates?.subarray(layer * heads, (layer + 1) * heads);
  const { factors, sums } = own.length > 0 ? rowsOf(own, gate, shape) : {};
  const feeds: Feed[] = [];
  if (typeof site.inputs.gate === 'string')
    feeds.push(
      editFeed(
        site,
        'gate',
        factors
          ? { data: factors, sizes: { head: heads, query: shape.tokens } }
          : gate
            ? { data: gate, sizes: { head: heads } }
            : { data: [1], sizes: {} },
      ),
    );
  if (typeof site.inputs.patch === 'string')
    feeds.push(
      editFeed(
        site,
        'patch',
        sums
          ? { data: sums, sizes: { head: heads, query: shape.tokens, dim: shape.headDim } }
          : { data: [0], sizes: {} },
      ),
    );
  return feeds;
}

/** Factors [head, token] and sums [head, token, headDim] of patches that follow each other. */
function rowsOf(
  patches: readonly HeadPatch[],
  gate: Float32Array | undefined,
  { heads, headDim, past, tokens }: RunShape,
): { factors: Float32Array; sums: Float32Array } {
  const factors = Float32Array.from({ length: heads * tokens }, (_, i) => gate?.[Math.floor(i / tokens)] ?? 1);
  const sums = new Float32Array(heads * tokens * headDim);
  for (const { head, how, at, rows } of patches)
    for (let i = 0; i < rows.length / headDim; i++) {
      const token = at + i - past;
      if (token < 0 || token >= tokens) continue;
      const row = head * tokens + token;
      if (how === 'replace') {
        factors[row] = 0;
        sums.fill(0, row * headDim, (row + 1) * headDim);
      }
      for (let dim = 0; dim < headDim; dim++) sums[row * headDim + dim]! += rows[i * headDim + dim]!;
    }
  return { factors, sums };
}
