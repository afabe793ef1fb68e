/** One answer over several attempts, prompts that are too long, and what is said meanwhile. */
import { describe, expect, test } from 'vitest';
import { cutToFit, describeOverflow, measurePrompt } from '../../../src/prompts/prompt-fit.ts';
import { describeNeutralised, describeStage, PromptRun } from '../../../src/prompts/prompt-run.ts';
import type { PromptInput } from '../../../src/shared/engine-contract.ts';
import { defaultSampling } from '../../../src/shared/sampling-settings.ts';
import { readInput, ScriptedEngine } from './scripted-engine.ts';

const input: PromptInput = { kind: 'chat', messages: [{ role: 'user', content: 'hi' }] };
const sampling = { ...defaultSampling, maxTokens: 10 };

function start(engine: ScriptedEngine) {
  const heard: string[] = [];
  let seconds = 0;
  const run = new PromptRun(engine, { input, sampling }, () => 1000 * seconds++);
  const texts: string[] = [];
  const signal = new AbortController().signal;
  const attempt = () =>
    run.run({ signal, onText: (text) => texts.push(text), onStage: (stage) => heard.push(describeStage(stage)) });
  return { run, texts, heard, attempt };
}

describe('PromptRun', () => {
  test('streams the text and tells each stage', async () => {
    const { texts, heard, attempt } = start(new ScriptedEngine({ answer: ['Hello', ' world'] }));
    await expect(attempt()).resolves.toBe('end');
    expect(texts.join('')).toBe('Hello world');
    expect(heard).toEqual([
      'Waiting: 1 request ahead',
      'Reading the prompt: 4 of 8 tokens (2 known already)',
      'Writing: 1 token',
      'Writing: 2 tokens, 1.0 tokens/s',
    ]);
  });

  test('goes on where the engine died, with an unfinished character again', async () => {
    // Token 2 is the first byte of a character: no text yet.
    const engine = new ScriptedEngine({ answer: ['a', 'b', '', 'é', 'c'], diesBefore: [3, 4] });
    const { run, texts, attempt } = start(engine);
    await expect(attempt()).rejects.toMatchObject({ code: 'engine-died' });
    expect([run.text, run.ids]).toEqual(['ab', [0, 1]]);
    await expect(attempt()).rejects.toMatchObject({ code: 'engine-died' });
    await attempt();
    expect(texts.join('')).toBe('abéc');
    const generated = engine.calls.map(
      ({ params }) => params as { continuation?: number[]; sampling: { maxTokens: number } },
    );
    expect(generated.map(({ continuation }) => continuation)).toEqual([undefined, [0, 1], [0, 1, 2, 3]]);
    expect(generated.map(({ sampling: { maxTokens } }) => maxTokens)).toEqual([10, 8, 6]);
  });

  test('does not ask for more than was wanted', async () => {
    const engine = new ScriptedEngine({ answer: [] });
    const run = new PromptRun(engine, { input, sampling: { ...sampling, maxTokens: 2 } });
    run.resume([5, 6], 'xy');
    const options = { signal: new AbortController().signal, onText: () => {}, onStage: () => {} };
    await expect(run.run(options)).resolves.toBe('length');
    expect(engine.calls).toEqual([]);
  });
});

describe('a prompt that is too long', () => {
  const engine = new ScriptedEngine({ answer: [] });
  const build = (material: string): PromptInput => ({
    kind: 'chat',
    messages: [{ role: 'user', content: `Explain this:\n${material}` }],
  });
  const lines = Array.from({ length: 50 }, (_, index) => `line number ${index}`).join('\n');
  const options = { contextLength: 100, maxTokens: 20 };

  test('is measured with room for an answer', async () => {
    const fit = await measurePrompt(engine, build(lines), options);
    expect(fit).toMatchObject({ limit: 80, promptTokens: 303, over: 223 });
    expect(describeOverflow(fit)).toContain('223 tokens too long: it has 303, and the model reads at most 80');
  });

  test('loses the start of its material, at a line, and nothing else', async () => {
    const fit = await cutToFit(engine, build, lines, options);
    expect(fit?.over).toBe(0);
    expect(fit?.promptTokens).toBeGreaterThan(72);
    const text = readInput(fit?.input as PromptInput);
    expect(text.startsWith('<user>Explain this:\nline number')).toBe(true);
    expect(text.endsWith('line number 49')).toBe(true);
  });

  test('is cut inside a line where there is no other', async () => {
    const words = Array.from({ length: 300 }, (_, index) => `w${index}`).join(' ');
    const fit = await cutToFit(engine, build, words, options);
    expect(fit?.over).toBe(0);
    expect(readInput(fit?.input as PromptInput).endsWith(' w299')).toBe(true);
  });

  test('cannot be helped when the material is not what makes it long', async () => {
    const long = (material: string) => build(`${'x '.repeat(200)}${material}`);
    expect(await cutToFit(engine, long, lines, options)).toBeUndefined();
  });
});

test('special tokens that were typed are named once', () => {
  expect(describeNeutralised([])).toBeUndefined();
  expect(describeNeutralised(['<|im_end|>', '<|im_end|>'])).toBe('<|im_end|> was read as text, not as a control word.');
  expect(describeNeutralised(['<a>', '<b>'])).toBe('<a>, <b> were read as text, not as control words.');
});
