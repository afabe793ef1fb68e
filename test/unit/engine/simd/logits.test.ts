/** What the machine says of a row of logits is what the sampler finds itself, on both builds. */
import { describe, expect, test } from 'vitest';
import { describeLogits } from '../../../../src/shared/sampling/distribution.ts';
import { LogitsArea } from '../../../../webview/engine/runtime/simd/logits-area.ts';
import type { Machine } from '../../../../webview/engine/runtime/simd/machine.ts';
import { builds } from '../../support/kernels.ts';
import { openMachine } from '../../support/packed-matrix.ts';
import { createRandom } from '../../support/random.ts';

const kinds: Record<string, (random: () => number, id: number) => number> = {
  ordinary: (random) => 12 * (random() + random() + random() - 1.5),
  'all equal': () => -3,
  'partly impossible': (random) => (random() < 0.4 ? -Infinity : 8 * random()),
  rising: (_random, id) => id / 500,
  'far apart': (_random, id) => (id % 3 === 0 ? 1e4 : -1e4),
  'as large as can be': (random) => 3.4e38 * random(),
};
const sizes = [1, 2, 3, 4, 5, 63, 64, 65, 97, 6151, 49_152];

/** Two rows of these logits, of which the second is read; NaN fills what lies between and behind. */
function areaOf(machine: Machine, logits: Float32Array): LogitsArea {
  const stride = Math.ceil(logits.length / 8) * 8;
  const address = machine.allocate(2 * stride * 4);
  const area = new LogitsArea(machine, { address, stride }, logits.length);
  machine.floats(address, 2 * stride).fill(Number.NaN);
  machine.floats(address + stride * 4, logits.length).set(logits);
  return area;
}

describe.each(builds)('%s build', (build) => {
  describe.each(Object.keys(kinds))('logits %s', (kind) => {
    test.each(sizes)('%d of them', async (size) => {
      const random = createRandom(size);
      const logits = Float32Array.from({ length: size }, (_, id) => kinds[kind]!(random, id));
      if (!logits.some((logit) => logit > -Infinity)) logits[0] = 1;
      const area = areaOf(await openMachine(build), logits);
      const { max, logTotal, entropy, hasImpossible } = describeLogits(logits);
      const found = area.describe(1)!;
      expect(found).toMatchObject({ max, hasImpossible });
      expect(Math.abs(found.logTotal - logTotal)).toBeLessThanOrEqual(1e-6);
      expect(Math.abs(found.entropy - entropy)).toBeLessThanOrEqual(5e-6);
      expect(area.read(1, 1)).toEqual(logits);
    });
  });

  test.each([Number.NaN, Infinity])('%s is left to the sampler to refuse, wherever it is', async (bad) => {
    const machine = await openMachine(build);
    for (const at of [0, 1, 63, 64, 6149, 6150]) {
      const logits = new Float32Array(6151).fill(2);
      logits[at] = bad;
      expect(areaOf(machine, logits).describe(1)).toBeUndefined();
    }
    expect(areaOf(machine, new Float32Array(70).fill(-Infinity)).describe(1)).toBeUndefined();
  });
});
