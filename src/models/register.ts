/** Registers the models feature: status bar item, commands, what a changed setting does, kept WebGPU verdicts. */
import * as vscode from 'vscode';
import type { Parts } from '../parts.ts';
import { readSettings } from '../platform/settings.ts';
import { AppError, isCancelled, toAppError } from '../shared/app-error.ts';
import { chooseModel } from './choose-model.ts';
import { describeSetting } from './model-store.ts';
import { modelViewId } from './model-view.ts';
import { createStatusItem } from './status-item.ts';
import { keepVerdict } from './verdict-store.ts';

const engineSettings = ['model', 'device', 'arithmetic', 'cacheLimitMB', 'cachePrecision', 'threads'].map(
  (name) => `glasshead.${name}`,
);

export function registerModels({ context, engine, log }: Parts): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  /** A command that fails says so once, with a way on. */
  const command = (name: string, run: () => unknown) =>
    vscode.commands.registerCommand(name, async () => {
      try {
        await run();
      } catch (thrown) {
        if (!isCancelled(thrown)) await offerRemedies(toAppError(thrown));
      }
    });
  return vscode.Disposable.from(
    changed,
    createStatusItem({
      engine,
      configuredName: () => describeSetting(readSettings().model).name,
      onDidChangeSettings: changed.event,
    }),
    command('glasshead.loadModel', () => engine.start()),
    command('glasshead.unloadModel', () => engine.stop()),
    command('glasshead.restartEngine', () => engine.restart()),
    command('glasshead.showModel', () => vscode.commands.executeCommand(`${modelViewId}.focus`)),
    command('glasshead.showLog', () => log.show()),
    command('glasshead.chooseModel', () => chooseModel()),
    engine.onDidChangeState((state) => {
      if (state.kind === 'ready') void keepVerdict(context.globalState, state.model);
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (!engineSettings.some((name) => event.affectsConfiguration(name))) return;
      changed.fire();
      const isWanted = engine.state.kind === 'ready' || engine.state.kind === 'loading';
      log.info(`The settings of the engine have changed${isWanted ? '; it starts anew' : ''}.`);
      // Which folders the page may read is fixed when it is laid.
      if (event.affectsConfiguration('glasshead.model'))
        engine.closePage(new AppError('engine-died', 'Another model was chosen. Run it again.'));
      engine.refresh();
      // What goes wrong then is said by the state, in the status bar and in the Model view.
      if (isWanted) engine.restart().catch(() => undefined);
    }),
  );
}

async function offerRemedies(error: AppError): Promise<void> {
  const retry = 'Restart Engine';
  const showLog = 'Show Log';
  const chosen = await vscode.window.showErrorMessage(error.message, retry, showLog);
  if (chosen === retry) await vscode.commands.executeCommand('glasshead.restartEngine');
  else if (chosen === showLog) await vscode.commands.executeCommand('glasshead.showLog');
}
