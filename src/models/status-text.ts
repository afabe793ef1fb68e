/** What the status bar item says of the engine, as plain data: text, tooltip with remedies, severity. */
import type { EngineState } from '../shared/engine-state.ts';
import { deviceName, formatBytes, formatDuration, formatRate, type RunSpeed } from '../shared/run-speed.ts';

export interface StatusText {
  readonly text: string;
  /** Markdown with command links to `statusCommands`. */
  readonly tooltip: string;
  /** The same for a screen reader. */
  readonly label: string;
  readonly severity: 'none' | 'error';
}

export interface StatusFacts {
  readonly state: EngineState;
  readonly configuredName: string;
  readonly lastSpeed?: RunSpeed | undefined;
}

/** The only commands that the tooltip may run. */
export const statusCommands = [
  'glasshead.loadModel',
  'glasshead.unloadModel',
  'glasshead.restartEngine',
  'glasshead.showModel',
  'glasshead.showLog',
  'glasshead.chooseModel',
] as const;

type StatusCommand = (typeof statusCommands)[number];

const link = (label: string, command: StatusCommand) => `[${label}](command:${command})`;
const views = [link('Show model', 'glasshead.showModel'), link('Show log', 'glasshead.showLog')];

export function describeStatus({ state, configuredName, lastSpeed }: StatusFacts): StatusText {
  if (state.kind === 'off') {
    const lines = [`**${escapeMarkdown(configuredName)}** is not loaded. It loads when it is first needed.`];
    const actions = [link('Load now', 'glasshead.loadModel'), link('Choose model', 'glasshead.chooseModel'), ...views];
    return status('$(circle-large-outline) Glasshead', 'Glasshead: the model is not loaded', lines, actions);
  }
  if (state.kind === 'loading') {
    const percent = state.fraction === undefined ? '' : ` ${Math.floor(state.fraction * 100)} %`;
    const lines = [`Loading **${escapeMarkdown(state.modelName)}**${percent}`, escapeMarkdown(state.message)];
    const actions = [link('Stop loading', 'glasshead.unloadModel'), ...views];
    const label = `Glasshead: loading ${state.modelName}${percent}`;
    return status(`$(sync~spin) ${state.modelName}${percent}`, label, lines, actions);
  }
  if (state.kind === 'failed') {
    const lines = ['**The engine has stopped.**', escapeMarkdown(state.error.message)];
    const actions = [
      link('Restart', 'glasshead.restartEngine'),
      link('Choose model', 'glasshead.chooseModel'),
      ...views,
    ];
    const text = status('$(error) Glasshead', `Glasshead: ${state.error.message}`, lines, actions);
    return { ...text, severity: 'error' };
  }
  const { model } = state;
  const device = deviceName(model.device);
  const speed = lastSpeed?.decodePerSecond;
  const rate = speed === undefined ? '' : ` · ${formatRate(speed)} tokens/s`;
  const lines = [
    `**${escapeMarkdown(model.modelName)}** on ${device}, ${formatBytes(model.weightsBytes)}`,
    escapeMarkdown(`${model.deviceReason} ${model.runtimeReason}`),
    ...(lastSpeed ? [`Last answer: ${describeSpeed(lastSpeed)}.`] : []),
    ...(model.inspectionRefused ? [escapeMarkdown(model.inspectionRefused)] : []),
  ];
  const actions = [
    link('Restart', 'glasshead.restartEngine'),
    link('Unload', 'glasshead.unloadModel'),
    link('Choose model', 'glasshead.chooseModel'),
    ...views,
  ];
  const label = `Glasshead: ${model.modelName} is ready on ${device}${rate}`;
  return status(`$(circle-large-filled) ${model.modelName} · ${device}${rate}`, label, lines, actions);
}

function describeSpeed({ firstTokenMs, prefillPerSecond, decodePerSecond }: RunSpeed): string {
  return [
    `first token after ${formatDuration(firstTokenMs)}`,
    ...(prefillPerSecond === undefined ? [] : [`prefill ${formatRate(prefillPerSecond)} tokens/s`]),
    ...(decodePerSecond === undefined ? [] : [`decode ${formatRate(decodePerSecond)} tokens/s`]),
  ].join(', ');
}

function status(text: string, label: string, lines: readonly string[], actions: readonly string[]): StatusText {
  return { text, label, tooltip: [...lines, actions.join(' | ')].join('\n\n'), severity: 'none' };
}

/** Names and messages may hold anything, a link or an icon included. */
function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!|<>~$&]/g, '\\$&').replace(/\s*\n\s*/g, ' ');
}
