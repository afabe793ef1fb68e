/** What is drafted: the right passage, as much of it as pays. */
import { describe, expect, test } from 'vitest';
import { DraftLength } from '../../../../webview/engine/decode/draft-length.ts';
import { Drafter } from '../../../../webview/engine/decode/drafter.ts';
import { PassTimes } from '../../../../webview/engine/decode/pass-times.ts';
import { PromptLookup } from '../../../../webview/engine/decode/prompt-lookup.ts';

describe('the passage', () => {
  test.each<[string, number[], { ids: number[]; matched: number } | undefined]>([
    ['is what followed the same tokens', [1, 2, 3, 9, 9, 8, 1, 2], { ids: [3, 9, 9], matched: 2 }],
    ['follows the longest match', [7, 1, 2, 3, 5, 6, 1, 2, 4, 5, 7, 1, 2], { ids: [3, 5, 6], matched: 3 }],
    ['follows the latest of equal matches', [1, 2, 3, 0, 1, 2, 4, 0, 0, 6, 1, 2], { ids: [4, 0, 0], matched: 2 }],
    [
      'matches four tokens at most',
      [9, 1, 2, 3, 4, 5, 8, 1, 2, 3, 4, 6, 9, 1, 2, 3, 4],
      { ids: [6, 9, 1], matched: 4 },
    ],
    ['goes on in itself at the end', [5, 6, 5, 6], { ids: [5, 6, 5], matched: 2 }],
    ['is a run of one token', [4, 4, 4], { ids: [4, 4, 4], matched: 2 }],
    ['needs two tokens', [1, 5, 1], undefined],
    ['needs an earlier place', [1, 2, 3, 4], undefined],
    ['needs a text', [], undefined],
  ])('%s', (_name, ids, expected) => {
    expect(new PromptLookup(ids).continuation(3)).toEqual(expected);
  });

  test('is found in large vocabularies', () => {
    const ids = [262_143, 1, 262_142, 0, 262_143, 1];
    expect(new PromptLookup(ids).continuation(1)).toEqual({ ids: [262_142], matched: 2 });
  });
});

const further = (share: number) => (tokens: number) => 1 + (tokens - 1) * share;

describe('the length', () => {
  test('is longer the less a token costs, and none where a batch saves nothing', () => {
    const length = new DraftLength();
    const lengths = [0.02, 0.1, 0.25, 0.5, 1].map((share) => length.best(4, further(share)));
    expect(lengths).toEqual([...lengths].sort((a, b) => b - a));
    expect(lengths[0]).toBeGreaterThan(lengths[2]!);
    expect(lengths[2]).toBeGreaterThan(0);
    expect(lengths[4]).toBe(0);
  });

  test('is none, or long, where a batch costs much but its tokens little', () => {
    const length = new DraftLength();
    const cost = (tokens: number) => (tokens === 1 ? 1 : 3 + 0.05 * tokens);
    expect(length.best(4, cost)).toBe(0);
    for (let i = 0; i < 5; i++) length.verified(4, 4, 4);
    expect(length.best(4, cost)).toBeGreaterThan(8);
  });

  test('trusts long matches more', () => {
    const length = new DraftLength();
    expect(length.best(4, further(0.2))).toBeGreaterThan(length.best(2, further(0.2)));
  });

  test('grows with hits, falls to none with misses, and comes back after a while', () => {
    const length = new DraftLength();
    const before = length.best(3, further(0.25));
    for (let i = 0; i < 5; i++) length.verified(3, 4, 4);
    expect(length.best(3, further(0.25))).toBeGreaterThan(before);
    let misses = 0;
    for (; length.best(3, further(0.25)) > 0; misses++) length.verified(3, 2, 0);
    expect(misses).toBeLessThan(10);
    for (let i = 0; i < 100; i++) length.skipped();
    expect(length.best(3, further(0.25))).toBeGreaterThan(0);
  });

  test.each([0.02, 0.1, 0.25, 0.5])('loses little where all matches are wrong, a further token costing %d', (share) => {
    for (const [tokens, limit] of [
      [48, 0.06],
      [256, 0.03],
    ] as const) {
      const length = new DraftLength();
      let lost = 0;
      for (let i = 0; i < tokens; i++) {
        const drafted = length.best(4, further(share));
        lost += drafted * share;
        if (drafted > 0) length.verified(4, drafted, 0);
        else length.skipped();
      }
      expect(lost).toBeLessThan(tokens * limit);
    }
  });
});

describe('the cost of a pass', () => {
  const noted = (...passes: [tokens: number, ms: number][]) => {
    const times = new PassTimes();
    for (const [tokens, ms] of passes) times.note(tokens, ms);
    return times;
  };
  const prefill: [number, number] = [201, 1020];
  const one: [number, number] = [1, 20];

  test.each<[string, PassTimes, tokens: number, expected: number]>([
    ['of one is one', noted(one), 1, 1],
    ['is half a token for each more, as long as nothing is known', noted(), 5, 3],
    ['is that beyond what is known, too', noted(one, [3, 30]), 5, 2.5],
    ['lies between that of one and of prefill', noted(prefill, one), 5, 2],
    ['is what it was', noted(prefill, one, [5, 28]), 5, 1.4],
    ['lies between those that were', noted(prefill, one, [2, 60], [8, 66]), 5, 3.15],
    ['never falls', noted(one, [2, 60], [8, 30]), 5, 3],
    ['is what the decoder says', new PassTimes(0.3), 5, 2.2],
  ])('%s', (_name, times, tokens, expected) => {
    expect(times.cost(tokens)).toBeCloseTo(expected, 9);
  });

  test.each([
    [1, 1],
    [3, 2.4],
    [4, 2.4],
    [5, 4.8],
    [8, 4.8],
  ])('of %d tokens, where four are computed together, is %d', (tokens, expected) => {
    const times = new PassTimes(undefined, 4);
    for (const [count, ms] of [one, [3, 48], [7, 96]] as const) times.note(count, ms);
    expect(times.cost(tokens)).toBeCloseTo(expected, 9);
  });

  test('is not what one slow pass says', () => {
    const quick: [number, number][] = Array.from({ length: 5 }, () => [3, 24]);
    expect(noted(one, ...quick, [3, 100]).cost(3)).toBeLessThan(2.5);
  });

  test('is learnt afresh after a while', () => {
    const singles: [number, number][] = Array.from({ length: 300 }, () => one);
    expect(noted(prefill, one, [5, 900], ...singles).cost(5)).toBeCloseTo(2, 9);
  });
});

describe('matches that were not drafted', () => {
  const passage = [1, 2, 3, 4, 5, 6, 7, 8, 9];
  const costly = { note() {}, cost: (tokens: number) => 1 + (tokens - 1) * 0.4 } as unknown as PassTimes;
  const draftsAfter = (told: readonly number[]) => {
    const drafter = new Drafter(passage, { times: costly, isLast: () => false });
    const lengths: number[] = [];
    for (const id of told) {
      drafter.add(id);
      lengths.push(drafter.draft(8).length);
      if (lengths.at(-1)) break;
    }
    return lengths;
  };

  test('and came true earn drafts', () => {
    const lengths = draftsAfter([1, 2, 3, 4, 5, 6, 7]);
    expect(lengths[1]).toBe(0);
    expect(lengths.at(-1)).toBeGreaterThan(0);
  });

  test('and did not, none', () => {
    const wrong = Array.from({ length: 30 }, (_, i) => [1, 2, 100 + i]).flat();
    expect(draftsAfter(wrong).every((length) => length === 0)).toBe(true);
  });
});

test('a draft ends with the token that ends the answer', () => {
  const drafter = new Drafter([1, 2, 3, 4, 5, 1, 2], { times: new PassTimes(0.01), isLast: (id) => id === 4 });
  expect(drafter.draft(10)).toEqual([3, 4]);
  expect(drafter.draft(1)).toEqual([3]);
  expect(drafter.draft(0)).toEqual([]);
});
