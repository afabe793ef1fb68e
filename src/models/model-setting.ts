/** Reads the setting `glasshead.model`: the id of a bundled model, or a folder as a path or a URI. */

export type ModelSetting =
  | { readonly kind: 'bundled'; readonly id: string }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'uri'; readonly uri: string };

export function parseModelSetting(setting: string): ModelSetting {
  const text = setting.trim();
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(text)) return { kind: 'uri', uri: text };
  if (/^([/\\]|[a-z]:[/\\])/i.test(text)) return { kind: 'path', path: text };
  return { kind: 'bundled', id: text };
}

/** The last part of a folder's path. */
export function modelNameOf(path: string): string {
  return path.split('/').filter(Boolean).at(-1) ?? 'model';
}
