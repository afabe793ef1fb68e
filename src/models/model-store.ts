/** Which model the settings mean, bundled or a folder of the user's, and where its files are. */
import * as vscode from 'vscode';
import { AppError } from '../shared/app-error.ts';
import { formatBytes } from '../shared/run-speed.ts';
import { bundledModels } from './bundled-models.ts';
import { chooseFiles } from './folder-files.ts';
import { type ModelDescription, type ModelFile, sizeOf } from './model-description.ts';
import { modelNameOf, parseModelSetting } from './model-setting.ts';

export interface FoundModel {
  readonly model: ModelDescription;
  readonly folder: vscode.Uri;
}

/** The folder of a model outside the extension, when the setting names one. */
export function folderOfSetting(setting: string): vscode.Uri | undefined {
  const parsed = parseModelSetting(setting);
  if (parsed.kind === 'uri') return vscode.Uri.parse(parsed.uri, true);
  return parsed.kind === 'path' ? vscode.Uri.file(parsed.path) : undefined;
}

/** @throws AppError `no-model` when the setting names nothing, `model-damaged` when the folder lacks a file. */
export async function findModel(setting: string, extensionUri: vscode.Uri): Promise<FoundModel> {
  const folder = folderOfSetting(setting);
  if (folder) return { model: await describeFolder(folder), folder };
  const model = bundledModels.find(({ id }) => id === setting.trim());
  if (model) return { model, folder: vscode.Uri.joinPath(extensionUri, 'media', 'models', model.id) };
  const known = bundledModels.map(({ id }) => id).join(', ');
  throw new AppError(
    'no-model',
    `There is no model "${setting}". Set glasshead.model to one of ${known}, or to the full path of a model folder.`,
  );
}

export async function describeFolder(folder: vscode.Uri): Promise<ModelDescription> {
  const files = await listFiles(folder, '').catch((thrown) => {
    const message = `The model folder ${folder.fsPath} cannot be read. Check the setting glasshead.model.`;
    throw new AppError('no-model', message, { cause: thrown });
  });
  const chosen = chooseFiles(files);
  if ('missing' in chosen)
    throw new AppError(
      'model-damaged',
      `The model folder ${folder.fsPath} has no ${chosen.missing.join(' and no ')}. Add what is missing, then reload.`,
    );
  return { id: folder.toString(), name: modelNameOf(folder.path), role: 'generate', files: chosen.files };
}

/** Before anything is read: the name, and for a bundled model its size and license. */
export function describeSetting(setting: string): { readonly name: string; readonly detail: string } {
  const folder = folderOfSetting(setting);
  if (folder) return { name: modelNameOf(folder.path), detail: folder.fsPath };
  const model = bundledModels.find(({ id }) => id === setting.trim());
  if (!model) return { name: setting, detail: 'There is no such model.' };
  return { name: model.name, detail: `${formatBytes(sizeOf(model))}, ${model.license}, bundled` };
}

/** The folder itself and its folder `onnx`: nothing large beside the model is read by accident. */
async function listFiles(folder: vscode.Uri, prefix: string): Promise<ModelFile[]> {
  const files: ModelFile[] = [];
  for (const [name, type] of await vscode.workspace.fs.readDirectory(folder)) {
    const uri = vscode.Uri.joinPath(folder, name);
    if (type & vscode.FileType.File)
      files.push({ path: prefix + name, sizeBytes: (await vscode.workspace.fs.stat(uri)).size });
    else if (prefix === '' && name === 'onnx') files.push(...(await listFiles(uri, `${name}/`)));
  }
  return files;
}
