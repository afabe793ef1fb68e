/** Builds the engine's client with its home, the Model view, and with what the settings say is to be loaded. */
import * as vscode from 'vscode';
import { EngineClient } from '../engine/engine-client.ts';
import type { Log } from '../platform/log.ts';
import { readSettings } from '../platform/settings.ts';
import type { LoadRequest } from '../shared/engine-contract.ts';
import { describeSetting, findModel, folderOfSetting } from './model-store.ts';
import { ModelView, modelViewId } from './model-view.ts';
import { readVerdict } from './verdict-store.ts';

export function createEngine(context: vscode.ExtensionContext, log: Log): EngineClient {
  const { extensionUri } = context;
  const view = new ModelView({
    extensionUri,
    modelFolder: () => folderOfSetting(readSettings().model),
    attach: (port) => engine.attach(port),
  });
  const engine: EngineClient = new EngineClient({
    log,
    openPage: () => view.open(),
    describeLoad: () => describeLoad(context, view),
    configured: () => describeSetting(readSettings().model),
    onAction: (action) => {
      if (action === 'showLog') log.show(true);
      else if (action === 'openSettings')
        void vscode.commands.executeCommand('workbench.action.openSettings', '@ext:glasshead.glasshead');
    },
  });
  context.subscriptions.push(
    vscode.window.registerWebviewViewProvider(modelViewId, view, {
      webviewOptions: { retainContextWhenHidden: true },
    }),
  );
  return engine;
}

async function describeLoad(context: vscode.ExtensionContext, view: ModelView): Promise<LoadRequest> {
  const settings = readSettings();
  const { model, folder } = await findModel(settings.model, context.extensionUri);
  const knownVerdict = readVerdict(context.globalState, model.id);
  return {
    modelId: model.id,
    modelName: model.name,
    files: model.files.map((file) => ({
      ...file,
      url: view.addressOf(vscode.Uri.joinPath(folder, ...file.path.split('/'))),
    })),
    device: settings.device,
    arithmetic: settings.arithmetic,
    cacheLimitBytes: settings.cacheLimitMB * 2 ** 20,
    cachePrecision: settings.cachePrecision,
    threads: settings.threads,
    ...(knownVerdict && { knownVerdict }),
  };
}
