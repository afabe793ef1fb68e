/** Lets the user pick the model to run: a bundled one, or a folder on disk. Writes the setting, which does the rest. */
import * as vscode from 'vscode';
import { readSettings } from '../platform/settings.ts';
import { formatBytes } from '../shared/run-speed.ts';
import { bundledModels } from './bundled-models.ts';
import { sizeOf } from './model-description.ts';
import { parseModelSetting } from './model-setting.ts';
import { describeFolder } from './model-store.ts';

const roles = {
  generate: 'Prompts, completions and their attention',
  encode: 'An encoder: the attention of a text in both directions; no prompts',
} as const;

type Choice = vscode.QuickPickItem & { readonly value: string | undefined };

export async function chooseModel(): Promise<void> {
  const current = readSettings().model.trim();
  const bundled: Choice[] = bundledModels.map((model) => ({
    label: model.name,
    description: `${formatBytes(sizeOf(model))}, ${model.license}${model.id === current ? ', current' : ''}`,
    detail: roles[model.role],
    value: model.id,
  }));
  const own: Choice[] =
    parseModelSetting(current).kind === 'bundled' ? [] : [{ label: current, description: 'current', value: current }];
  const browse: Choice = {
    label: '$(folder-opened) Choose a Folder…',
    description: 'with config.json, tokenizer.json or preprocessor_config.json, and its .onnx files',
    value: undefined,
  };
  const picked = await vscode.window.showQuickPick([...bundled, ...own, browse], {
    title: 'Glasshead: Choose Model',
    placeHolder: 'Which model is to run?',
  });
  if (!picked) return;
  const value = picked.value ?? (await pickFolder());
  if (value === undefined || value === current) return;
  await vscode.workspace.getConfiguration('glasshead').update('model', value, vscode.ConfigurationTarget.Global);
}

/** @throws AppError when the folder holds no model, before the setting is changed. */
async function pickFolder(): Promise<string | undefined> {
  const [folder] =
    (await vscode.window.showOpenDialog({
      canSelectFiles: false,
      canSelectFolders: true,
      canSelectMany: false,
      title: 'Choose a Model Folder',
      openLabel: 'Use This Model',
    })) ?? [];
  if (!folder) return undefined;
  await describeFolder(folder);
  return folder.scheme === 'file' ? folder.fsPath : folder.toString();
}
