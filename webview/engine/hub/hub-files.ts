/** Answers what transformers.js asks of a model repository from the files of one folder; nothing comes from a network. */
import { env, LogLevel } from '@huggingface/transformers';
import type { ModelFiles } from '../model-files.ts';

/** A name that transformers.js takes for a repository; it is never looked up. */
export const hubName = 'glasshead/model';

/**
 * Small files as they are; of a graph only its name, under which `SessionSeam` opens it; of config.json without the
 * entry that says how other programs are to load the model.
 */
export function serveHubFiles(files: ModelFiles, config: Readonly<Record<string, unknown>>): void {
  const { 'transformers.js_config': _, ...own } = config;
  env.allowRemoteModels = false;
  env.allowLocalModels = true; // one of the two is demanded; a file that the folder does not have ends in `fetch`
  env.useBrowserCache = false;
  env.logLevel = LogLevel.ERROR;
  env.fetch = () => Promise.reject(new Error('Nothing is fetched.'));
  env.useCustomCache = true;
  env.customCache = {
    match: async (address: string) => {
      const path = pathOf(address);
      if (path === undefined) return undefined;
      if (path === 'config.json') return Response.json(own);
      const graph = /^onnx\/(.+)\.onnx$/.exec(path)?.[1];
      const text = graph ?? (await files.text(path));
      return text === undefined ? undefined : new Response(text);
    },
    put: async () => undefined,
  };
}

/** Of `/models/glasshead/model/config.json`, and of the address that it would have on the network. */
function pathOf(address: string): string | undefined {
  const at = address.indexOf(hubName);
  return at < 0 ? undefined : address.slice(at + hubName.length).replace(/^\/(resolve\/[^/]+\/)?/, '');
}
