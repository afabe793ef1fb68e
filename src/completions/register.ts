/**
 * Registers inline completions: the provider is there only while a model is ready or may be loaded for it, so that
 * nothing holds back the editor's own suggestions meanwhile. Disposing the result takes it all back.
 */
import * as vscode from 'vscode';
import type { Parts } from '../parts.ts';
import { readSettings } from '../platform/settings.ts';
import { LanguageSwitch } from './language-switch.ts';
import { CompletionProvider } from './provider.ts';

export function registerCompletions(parts: Parts): vscode.Disposable {
  const { engine, log } = parts;
  const languageSwitch = new LanguageSwitch((languageId, isOn) => {
    log.info(`Inline completions are turned ${isOn ? 'on' : 'off'} for ${languageId}.`);
    // Turning them on is asking for a model.
    if (isOn && engine.state.kind === 'off') void engine.start().catch(() => undefined);
  });
  let registration: vscode.Disposable | undefined;
  const register = () => vscode.languages.registerInlineCompletionItemProvider({ pattern: '**' }, provider);
  const provider: CompletionProvider = new CompletionProvider(parts, {
    onOutcome: (outcome) => languageSwitch.show(outcome),
    renew: () => {
      registration?.dispose();
      registration = register();
    },
  });

  const update = () => {
    const { state } = engine;
    // A model that cannot write is no reason to hold back the editor's own suggestions.
    const isWanted = state.kind === 'ready' ? state.model.kind === 'decoder' : readSettings().completionAutoLoad;
    if (isWanted) registration ??= register();
    else {
      registration?.dispose();
      registration = undefined;
      languageSwitch.show(state.kind === 'ready' ? 'this model writes no text' : 'no model is loaded');
    }
  };
  update();
  return vscode.Disposable.from(
    languageSwitch,
    provider,
    new vscode.Disposable(() => registration?.dispose()),
    engine.onDidChangeState((state) => {
      if (state.kind !== 'ready') provider.clear();
      update();
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (!event.affectsConfiguration('glasshead.completions')) return;
      provider.clear();
      update();
    }),
  );
}
