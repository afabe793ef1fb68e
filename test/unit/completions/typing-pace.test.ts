import { expect, test } from 'vitest';
import { TypingPace } from '../../../src/completions/typing-pace.ts';

function paceOf(gapMs: number, answerMs: number, keys = 30) {
  const pace = new TypingPace();
  for (let i = 0; i < keys; i++) {
    pace.keyPressed(i * gapMs);
    pace.answered(answerMs);
  }
  return pace;
}

test('a model faster than the typing is asked at once', () => {
  expect(paceOf(200, 80).delayMs).toBe(30);
});

test('a slower one after the pace of this typing has paused', () => {
  expect(paceOf(120, 3000).delayMs).toBeGreaterThan(120);
  expect(paceOf(120, 3000).delayMs).toBeLessThan(200);
  expect(paceOf(1000, 3000).delayMs).toBe(400);
});

test('a pause is not the pace', () => {
  const pace = paceOf(100, 3000);
  const before = pace.delayMs;
  pace.keyPressed(1_000_000);
  expect(pace.delayMs).toBe(before);
});
