import { describe, expect, it } from 'vitest';
import { judge, median, type Samples, toJson, toTable } from '../../../bench/decode/report.mjs';

const full: Samples = {
  speeds: {
    decode64: { simd: [90, 110, 100], transformersjs: [5], wllama: [20, 22], bound: [160] },
    decode1024: { simd: [60], bound: [120] },
    prefill256: { simd: [300], transformersjs: [100], wllama: [30] },
    prefill1024: { simd: [150] },
  },
  ratios: { batch4: [1.5], prefix1000plus4: [2, 3], sampler: [0.05], samplerDetailed: [0.2], memory: [1.2] },
  facts: {},
};
const empty: Samples = { speeds: {}, ratios: {}, facts: {} };

describe('the report of bench:decode', () => {
  it.each([
    [[], null],
    [[3], 3],
    [[9, 1, 5], 5],
    [[1, 2, 30, 4], 3],
  ])('takes %j to have the median %j', (values, expected) => expect(median(values)).toBe(expected));

  it('prints the keys of the issue, with medians', () => {
    expect(toJson(full)).toEqual({
      decode64: { simd: 100, transformersjs: 5, wllama: 21, bound: 160 },
      decode1024: { simd: 60, transformersjs: null, wllama: null, bound: 120 },
      prefill256: { simd: 300, transformersjs: 100, wllama: 30, bound: null },
      prefill1024: { simd: 150, transformersjs: null, wllama: null, bound: null },
      ...{ batch4: 1.5, prefix1000plus4: 2.5, sampler: 0.05, memory: 1.2 },
    });
  });

  it('prints null for whatever was not measured', () => {
    const nothing = { simd: null, transformersjs: null, wllama: null, bound: null };
    expect(toJson(empty)).toEqual({
      ...{ decode64: nothing, decode1024: nothing, prefill256: nothing, prefill1024: nothing },
      ...{ batch4: null, prefix1000plus4: null, sampler: null, memory: null },
    });
  });

  it('holds each figure to its bar', () => {
    expect(judge(full).map(({ value, bar, isMet }) => [Number(value?.toFixed(3)), bar, isMet])).toEqual([
      [4.762, 'at least 5', false],
      [20, 'at least 18', true],
      [0.625, 'at least 0.6', true],
      [0.6, 'at least 0.6', true],
      [10, 'at least 8', true],
      [3, 'at least 3', true],
      [8, 'at most 7', false],
      [1.5, 'at most 1.7', true],
      [2.5, 'at most 2.5', true],
      [0.05, 'at most 0.08', true],
      [1.2, 'at most 1.25', true],
    ]);
    expect(judge(empty).every(({ value, isMet }) => value === null && isMet === null)).toBe(true);
  });

  it('writes medians with their spread, the verdicts and the notes', () => {
    const table = toTable(full, ['wllama is left out: no pip']);
    expect(table).toMatch(/decode at 64 tokens of context +100\.0 \(90\.0 to 110\.0\) +5\.0/);
    expect(table).toMatch(/MISSED +decode at 64, times wllama +4\.76 +at least 5/);
    expect(table).toMatch(/met +4 sequences together, times one +1\.50 +at most 1\.7/);
    expect(table).toMatch(/wllama is left out: no pip$/);
    expect(toTable(empty, [])).toMatch(/unknown +decode at 64, times wllama +- +at least 5/);
  });
});
