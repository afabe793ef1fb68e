/** The one status bar item: follows the engine's state and the speed of its last answer. */
import * as vscode from 'vscode';
import type { EngineClient } from '../engine/engine-client.ts';
import { type RunSpeed, speedOf } from '../shared/run-speed.ts';
import { describeStatus, statusCommands } from './status-text.ts';

export interface StatusItemOptions {
  readonly engine: EngineClient;
  readonly configuredName: () => string;
  readonly onDidChangeSettings: vscode.Event<unknown>;
}

export function createStatusItem({
  engine,
  configuredName,
  onDidChangeSettings,
}: StatusItemOptions): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('glasshead.status', vscode.StatusBarAlignment.Right, 90);
  item.name = 'Glasshead';
  item.command = 'glasshead.showModel';
  let lastSpeed: RunSpeed | undefined;
  const update = () => {
    const { state } = engine;
    if (state.kind !== 'ready') lastSpeed = undefined;
    const { text, tooltip, label, severity } = describeStatus({ state, configuredName: configuredName(), lastSpeed });
    const markdown = new vscode.MarkdownString(tooltip, true);
    markdown.isTrusted = { enabledCommands: statusCommands };
    item.text = text;
    item.tooltip = markdown;
    item.accessibilityInformation = { label, role: 'button' };
    item.backgroundColor = severity === 'error' ? new vscode.ThemeColor('statusBarItem.errorBackground') : undefined;
  };
  update();
  item.show();
  return vscode.Disposable.from(
    item,
    engine.onDidChangeState(update),
    engine.onDidGenerate((result) => {
      lastSpeed = speedOf(result);
      update();
    }),
    onDidChangeSettings(update),
  );
}
