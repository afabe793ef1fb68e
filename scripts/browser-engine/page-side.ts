/** What `openBrowserEngine` takes from the extension's sources to lay the page and describe the model. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { bundledModels } from '../../src/models/bundled-models.ts';
import type { ModelDescription } from '../../src/models/model-description.ts';

export { renderPageHtml } from '../../src/platform/page-html.ts';

/** A bundled model by its id, or the files of a folder. */
export async function describeModel(
  idOrFolder: string,
  bundledFolder: string,
): Promise<{ model: ModelDescription; folder: string }> {
  const bundled = bundledModels.find(({ id }) => id === idOrFolder);
  if (bundled) return { model: bundled, folder: path.join(bundledFolder, bundled.id) };
  const folder = path.resolve(idOrFolder);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => {
      const file = path.join(entry.parentPath, entry.name);
      const { size } = await stat(file);
      return { path: path.relative(folder, file).split(path.sep).join('/'), sizeBytes: size };
    });
  const name = path.basename(folder);
  return { model: { id: folder, name, role: 'generate', files: await Promise.all(files) }, folder };
}
