/** Colours, words and numbers of the playground. */
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { defaultSampling, greedySampling, samplingSchema } from '../../../src/shared/sampling-settings.ts';
import { listNumbers, summarise } from '../../../webview/playground/numbers.ts';
import { advance, numbersSoFar, startRun } from '../../../webview/playground/run.ts';
import {
  changedCount,
  effectOf,
  readEscapes,
  sliderControls,
  writeEscapes,
} from '../../../webview/playground/sampling-controls.ts';
import { formatProbability, tint, tintAlpha, tintOn } from '../../../webview/playground/token-colour.ts';
import { visibleText } from '../../../webview/playground/visible-text.ts';
import { accept, fromFraction, snap, toFraction, valueAfterKey } from '../../../webview/ui/slider-scale.ts';
import themeFixture from '../../fixtures/themes.json' with { type: 'json' };

describe('the colour scale', () => {
  test('is linear in probability and clamps', () => {
    expect([1, 0.5, 0, -1, 2].map(tintAlpha)).toEqual([0, tint.alpha / 2, tint.alpha, tint.alpha, 0]);
  });

  test.each(Object.keys(themeFixture.themes) as (keyof typeof themeFixture.themes)[])(
    'leaves the text readable in %s, and two probabilities apart',
    (theme) => {
      const colours = themeFixture.themes[theme].style;
      const [text, background] = [readColour(colours, 'foreground'), readColour(colours, 'editor-background')];
      for (const probability of [0, 0.25, 0.5, 0.75, 1])
        expect(contrast(text, tintOn(background, probability))).toBeGreaterThanOrEqual(4.5);
      const lightness = [1, 0.75, 0.5, 0.25, 0].map((one) => luminance(tintOn(background, one)));
      const steps = lightness.slice(1).map((one, at) => Math.sign(one - lightness[at]!));
      expect(new Set(steps).size).toBe(1); // lightness alone tells the order, whatever the eye sees of hue
    },
  );

  test.each([
    [1, '100 %'],
    [0.9997, '> 99.9 %'],
    [0.4217, '42.2 %'],
    [0.0123, '1.2 %'],
    [0.000456, '0.05 %'],
    [0.00001, '< 0.01 %'],
  ])('reads %f as %s', (probability, words) => expect(formatProbability(probability)).toBe(words));
});

describe('a token on one line', () => {
  test.each([
    [' the', '·the'],
    ['\r\n\t', '␍↵→'],
    ['', '∅'],
    ['é漢🗼', 'é漢🗼'],
    ['a\u202eb\u200d', 'a⟨202E⟩b⟨200D⟩'],
    ['\u0000\ud800', '⟨0000⟩⟨D800⟩'],
  ])('%j', (text, visible) => expect(visibleText(text)).toBe(visible));
});

describe('sampling controls', () => {
  test.each(sliderControls)(
    '$key has the range of the settings and a sentence',
    ({ key, min, max, step, sentence }) => {
      const accepts = (value: number) => v.safeParse(samplingSchema, { ...defaultSampling, [key]: value }).success;
      expect([min, max, min - step, max + step].map(accepts)).toEqual([true, true, false, false]);
      expect(sentence).toMatch(/^[A-Z].*\.$/);
    },
  );

  test('every parameter has a control', () => {
    const others = ['seed', 'stop', 'logitBias'];
    expect([...sliderControls.map(({ key }) => key), ...others].sort()).toEqual(
      Object.keys(samplingSchema.entries).sort(),
    );
  });

  test('say what is in effect', () => {
    const drawn = { ...defaultSampling, topK: 40 };
    expect(effectOf('topP', drawn).isIdle).toBe(false);
    for (const key of ['topP', 'topK'] as const)
      expect(effectOf(key, { ...drawn, temperature: 0 })).toMatchObject({ isIdle: true });
    expect(effectOf('repetitionPenalty', { ...drawn, temperature: 0 }).isIdle).toBe(false);
    expect(effectOf('temperature', { ...drawn, topK: 1 }).isIdle).toBe(true);
    expect(effectOf('minP', drawn).note).toBe('Off: leaves all tokens.');
    expect(effectOf('maxTokens', drawn, { room: 12 }).note).toBe('In effect: 12, all that the context leaves.');
    expect(changedCount(defaultSampling)).toBe(0);
    expect(changedCount({ ...greedySampling, seed: 1, stop: ['x'] })).toBe(5);
  });

  test('escapes go there and back', () => {
    for (const text of ['\n\nUser:', 'a\\nb', '\t\r', '\\']) expect(readEscapes(writeEscapes(text))).toBe(text);
    expect(readEscapes('\\n\\nUser')).toBe('\n\nUser');
  });
});

describe('the slider', () => {
  const scale = { min: 0, max: 5, trackMax: 2, step: 0.05 };

  test('stays on its grid without binary dust', () => {
    expect(snap(scale, 0.05 * 3)).toBe(0.15);
    expect(snap({ ...scale, step: 0.1 }, 0.1 + 0.2)).toBe(0.3);
    expect(fromFraction(scale, 0.333)).toBe(0.65);
    expect(toFraction(scale, 5)).toBe(1);
  });

  test('takes typed numbers as they are, inside the range', () => {
    expect([0.123, 9, -1].map((typed) => accept(scale, typed))).toEqual([0.123, 5, 0]);
    expect(accept({ min: 1, max: 100, trackMax: 50, step: 1 }, 7.6)).toBe(8);
  });

  test.each([
    ['ArrowRight', 1.05],
    ['ArrowUp', 1.05],
    ['ArrowLeft', 0.95],
    ['ArrowDown', 0.95],
    ['PageUp', 1.2],
    ['PageDown', 0.8],
    ['Home', 0],
    ['End', 2],
    ['a', undefined],
  ])('%s', (key, value) => expect(valueAfterKey(scale, 1, key)).toBe(value));
});

describe('the numbers of a run', () => {
  const numbers = {
    finish: 'length' as const,
    seed: 1,
    promptTokens: 40,
    cutTokens: 3,
    reusedTokens: 30,
    computedTokens: 10,
    generatedTokens: 11,
    queuedMs: 0,
    prefillMs: 500,
    firstTokenMs: 510,
    decodeMs: 4000,
    neutralised: [],
  };

  test('read as rates with units', () => {
    expect(summarise(numbers)).toBe('11 tokens · 2.5 tokens/s · first after 510 ms · the limit of new tokens ended it');
    expect(Object.fromEntries(listNumbers(numbers, 8192))).toMatchObject({
      Prefill: '20 tokens/s, 500 ms',
      'Prompt tokens computed': '10, 30 reused',
      'Context used': '51 of 8,192 tokens',
      'Cut from the start': '3 tokens',
    });
  });

  test('are measured here for an answer that was stopped', () => {
    let run = startRun(1, 2, 1000);
    run = advance(run, { kind: 'queued', ahead: 1 }, 1000);
    run = advance(run, { kind: 'prefill', done: 0, total: 20, reused: 5 }, 1500);
    run = advance(run, { kind: 'prefill', done: 20, total: 20, reused: 5 }, 2000);
    run = advance(run, { kind: 'tokens', steps: [{}, {}] as never }, 2100);
    expect(numbersSoFar(run, 3100)).toMatchObject({
      finish: 'stopped',
      promptTokens: 25,
      computedTokens: 20,
      generatedTokens: 2,
      queuedMs: 500,
      firstTokenMs: 600,
      decodeMs: 1000,
    });
  });
});

type Rgb = readonly [number, number, number];

function readColour(style: string, name: string): Rgb {
  const hex = new RegExp(`--vscode-${name}: #([0-9a-f]{6})`).exec(style)?.[1];
  if (!hex) throw new Error(`The theme has no opaque ${name}.`);
  const part = (at: number) => Number.parseInt(hex.slice(at, at + 2), 16);
  return [part(0), part(2), part(4)];
}

/** Relative luminance and contrast of WCAG 2.2. */
function luminance(colour: Rgb): number {
  const linear = (value: number) => (value <= 10.31 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const [red, green, blue] = colour;
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

function contrast(a: Rgb, b: Rgb): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((one, other) => one - other);
  return (high + 0.05) / (low + 0.05);
}
