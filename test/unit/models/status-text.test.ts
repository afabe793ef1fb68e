/** What the status bar says in each state. */
import { describe, expect, test } from 'vitest';
import manifest from '../../../package.json' with { type: 'json' };
import { describeStatus, statusCommands } from '../../../src/models/status-text.ts';
import type { ModelInfo } from '../../../src/shared/engine-contract.ts';
import type { EngineState } from '../../../src/shared/engine-state.ts';
import { formatBytes, formatDuration, formatRate, speedOf } from '../../../src/shared/run-speed.ts';

const model: ModelInfo = {
  modelId: 'tiny',
  modelName: 'Tiny',
  kind: 'decoder',
  device: 'webgpu',
  deviceReason: 'The adapter agrees with WASM to 2e-5.',
  runtime: 'ort',
  runtimeReason: 'ONNX Runtime.',
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  vocabSize: 10,
  contextLength: 64,
  weightsBytes: 98_993_201,
  loadMs: 5,
  hasChatTemplate: true,
};

describe('the status bar item', () => {
  const states: [EngineState, text: string, remedies: string[]][] = [
    [{ kind: 'off' }, '$(circle-large-outline) Glasshead', ['loadModel', 'chooseModel']],
    [{ kind: 'loading', modelName: 'Tiny', message: 'Reading a' }, '$(sync~spin) Tiny', ['unloadModel']],
    [
      { kind: 'loading', modelName: 'Tiny', message: 'Reading a', fraction: 0.437 },
      '$(sync~spin) Tiny 43 %',
      ['unloadModel'],
    ],
    [{ kind: 'ready', model }, '$(circle-large-filled) Tiny · WebGPU', ['restartEngine', 'unloadModel']],
    [
      { kind: 'failed', error: { code: 'model-damaged', message: 'a.onnx is missing.' } },
      '$(error) Glasshead',
      ['restartEngine', 'chooseModel'],
    ],
  ];

  test.each(states)('%j: %s', (state, text, remedies) => {
    const status = describeStatus({ state, configuredName: 'Tiny' });
    expect(status.text).toBe(text);
    for (const name of [...remedies, 'showModel', 'showLog'])
      expect(status.tooltip).toContain(`(command:glasshead.${name})`);
    expect(status.severity).toBe(state.kind === 'failed' ? 'error' : 'none');
    expect(status.label).toMatch(/^Glasshead: ./);
  });

  test('shows the speed of the last answer', () => {
    const lastSpeed = { firstTokenMs: 820, prefillPerSecond: 45.2, decodePerSecond: 2.53 };
    const status = describeStatus({ state: { kind: 'ready', model }, configuredName: 'Tiny', lastSpeed });
    expect(status.text).toBe('$(circle-large-filled) Tiny · WebGPU · 2.5 tokens/s');
    expect(status.tooltip).toContain('first token after 820 ms, prefill 45 tokens/s, decode 2.5 tokens/s');
  });

  test('takes nothing in a message for Markdown, a link or an icon', () => {
    const error = { code: 'engine-failed', message: '[x](command:evil) $(alert) **b**\n# <img>' } as const;
    const { tooltip } = describeStatus({ state: { kind: 'failed', error }, configuredName: 'Tiny' });
    expect(tooltip).not.toContain('](command:evil)');
    expect(tooltip).not.toContain('$(alert)');
    expect(tooltip).not.toContain('<img>');
  });

  test('links only to commands that exist', () => {
    const contributed = manifest.contributes.commands.map(({ command }) => command);
    expect(contributed).toEqual(expect.arrayContaining([...statusCommands]));
  });
});

describe('figures', () => {
  test('the speed of a run', () => {
    const run = {
      promptTokens: 40,
      computedTokens: 32,
      prefillMs: 1000,
      generatedTokens: 9,
      decodeMs: 4000,
      firstTokenMs: 1010,
    };
    expect(speedOf(run)).toEqual({ prefillPerSecond: 32, decodePerSecond: 2, firstTokenMs: 1010 });
    expect(speedOf({ ...run, computedTokens: 0, prefillMs: 0, generatedTokens: 1, decodeMs: 0 })).toEqual({
      firstTokenMs: 1010,
    });
  });

  test('in words', () => {
    expect([0.84, 9.96, 47.4].map(formatRate)).toEqual(['0.84', '10.0', '47']);
    expect([1014, 98_993_201, 2.4e9].map(formatBytes)).toEqual(['1 kB', '99 MB', '2.4 GB']);
    expect([350.4, 4234].map(formatDuration)).toEqual(['350 ms', '4.2 s']);
  });
});
