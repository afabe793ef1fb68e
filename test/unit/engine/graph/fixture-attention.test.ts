import { existsSync, readdirSync, readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web/webgpu';
import { expect, test } from 'vitest';
import { tapGraph } from '../../../../webview/engine/graph/tap-graph.ts';
import { capture, type Feeds, largestDifference, openSession, openTapped } from '../../support/tapped-run.ts';

const home = process.env.FIXTURES ? new URL(`file://${process.env.FIXTURES}/`) : new URL('../../../fixtures/attention/', import.meta.url);

function readSafetensors(path: URL): Record<string, ort.Tensor> {
  const bytes = new Uint8Array(readFileSync(path));
  const n = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + n)));
  const out: Record<string, ort.Tensor> = {};
  for (const [name, { dtype, shape, data_offsets: [a, b] }] of Object.entries<any>(header)) {
    if (name === '__metadata__') continue;
    const raw = bytes.slice(8 + n + a, 8 + n + b).buffer;
    const make: any = { F32: ['float32', Float32Array], I64: ['int64', BigInt64Array], BOOL: ['bool', Uint8Array], F16: ['float16', Uint16Array], U8: ['uint8', Uint8Array], I32: ['int32', Int32Array] };
    const [type, Type] = make[dtype];
    out[name] = new ort.Tensor(type, new Type(raw), shape);
  }
  return out;
}

const only = process.env.ONLY;
for (const folder of readdirSync(home).filter((f) => existsSync(new URL(`${f}/meta.json`, home)) && (!only || f.match(only)))) {
  const meta = JSON.parse(readFileSync(new URL(`${folder}/meta.json`, home), 'utf8'));
  test(folder, async () => {
    const lines: string[] = [];
    for (const graph of Object.keys(meta.graphs)) {
      const bytes = new Uint8Array(readFileSync(new URL(`${folder}/${graph}`, home)));
      const t0 = performance.now();
      const { sites, refused } = tapGraph(bytes);
      lines.push(`${graph} sites ${sites.map((s) => `${s.stack}/${s.kind}/${s.layer} h${s.heads} kv${s.kvHeads} d${s.headDim} s${s.scale?.toFixed(3)} c${s.softcap} ${s.program ? '' : 'NOPROG ' + s.note}`).join('; ')} refused ${JSON.stringify(refused)} ${(performance.now() - t0).toFixed(0)}ms`);
    }
    const errors: string[] = [];
    for (const each of meta.cases) {
      const bytes = new Uint8Array(readFileSync(new URL(`${folder}/${each.graph}`, home)));
      const tensors = readSafetensors(new URL(`${folder}/${each.file}`, home));
      const feeds: Feeds = Object.fromEntries(Object.entries<string>(each.feeds).map(([k, v]) => [k, tensors[v]!]));
      const plain = await openSession(bytes);
      const before = (await plain.run(feeds)) as Record<string, ort.Tensor>;
      const { tapped, session, run } = await openTapped(bytes);
      const results = await run(feeds);
      let drift = 0;
      for (const name of plain.outputNames) drift = Math.max(drift, largestDifference(results[name]!.data as Float32Array, before[name]!.data as Float32Array));
      const ran = tapped.sites.map((site) => capture(site, results, feeds)).filter((c) => c !== undefined);
      let worst = 0;
      let own = 0;
      const other = await openTapped(bytes, { probabilities: true });
      const held = await other.run(feeds);
      await other.session.release();
      for (const site of other.tapped.sites) {
        const [x, { program: _p, ...rest }] = [capture(site, held, feeds), site];
        if (!x || !site.program || !site.probabilities) continue;
        const y = capture(rest, held, feeds)!;
        for (let b = 0; b < x.batch; b++) for (let h = 0; h < x.heads; h++) own = Math.max(own, largestDifference(x.map(b, h), y.map(b, h)));
      }
      if (!(own < meta.tolerance.attention)) errors.push(`${each.name} program differs from held ${own}`);
      for (const a of each.attentions) {
        const got = ran.find((c) => (c.site.kind === 'cross') === (a.kind === 'cross') && c.site.layer === a.layer && (a.kind !== 'encoder' || c.site.stack !== 'decoder') && (a.kind !== 'decoder' || c.site.stack !== 'encoder'));
        if (!got) { errors.push(`${each.name} no site for ${a.kind} ${a.layer}`); continue; }
        const want = tensors[a.tensor]!;
        const mask = a.mask ? (tensors[a.mask]!.data as BigInt64Array) : undefined;
        const [B, H, Q, K] = want.dims as number[];
        if (got.batch !== B || got.heads !== H || got.queries !== Q || got.keys !== K) errors.push(`${each.name} dims ${[got.batch, got.heads, got.queries, got.keys]} want ${want.dims}`);
        for (let b = 0; b < B!; b++) for (let h = 0; h < H!; h++) for (let q = 0; q < Q!; q++) {
          if (mask && !mask[b * Q! + q]) continue;
          const at = ((b * H! + h) * Q! + q) * K!;
          worst = Math.max(worst, largestDifference(got.row(b, h, q), (want.data as Float32Array).subarray(at, at + K!)));
        }
      }
      lines.push(`${each.name}: attention ${worst.toExponential(1)} (tol ${meta.tolerance.attention}), own ${own.toExponential(1)} drift ${drift.toExponential(1)} kinds ${[...new Set(ran.map((c) => c.kind))]} kv ${ran[0]?.kvHeads}`);
      if (!(worst <= meta.tolerance.attention)) errors.push(`${each.name} attention ${worst}`);
      if (!(drift <= 1e-5)) errors.push(`${each.name} drift ${drift}`);
      await plain.release(); await session.release();
    }
    if (process.env.SHOW || errors.length) console.log(folder + '\n' + lines.join('\n'));
    expect(errors).toEqual([]);
  });
}
