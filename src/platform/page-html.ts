/** The HTML of every page of ours: one script, two style sheets, a strict Content-Security-Policy. */

export interface PageContent {
  /** Name of the bundle in dist/webview and of its style sheet in media. */
  readonly page: 'model' | 'playground' | 'attention';
  readonly title: string;
  /** The Model page starts a worker from a blob, compiles WebAssembly and fetches the files it is given. */
  readonly isEngineHome?: boolean;
  /** Read by the page from `document.body.dataset`. */
  readonly data?: Readonly<Record<string, string>>;
}

interface PageSetting extends PageContent {
  /** Where the page's resources come from, as a source of a Content-Security-Policy. */
  readonly cspSource: string;
  /** Address of a file of the extension. */
  readonly address: (...path: string[]) => string;
}

export function renderPageHtml({
  cspSource,
  address,
  page,
  title,
  isEngineHome = false,
  data = {},
}: PageSetting): string {
  const nonce = createNonce();
  const styles = [address('media', 'webview', 'base.css'), address('media', 'webview', `${page}.css`)];
  const csp = [
    `default-src 'none'`,
    `style-src ${cspSource} 'unsafe-inline'`, // constructed styles of the components
    `font-src ${cspSource}`,
    `img-src ${cspSource} data:`,
    isEngineHome ? `script-src 'nonce-${nonce}' 'wasm-unsafe-eval' blob:` : `script-src 'nonce-${nonce}'`,
    ...(isEngineHome ? [`worker-src blob:`, `connect-src ${cspSource}`] : []),
  ].join('; ');
  const attributes = Object.entries(data).map(([key, value]) => ` data-${key}="${escapeHtml(value)}"`);
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${csp}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
${styles.map((href) => `<link rel="stylesheet" href="${href}">`).join('\n')}
</head>
<body${attributes.join('')}>
<script nonce="${nonce}" src="${address('dist', 'webview', `${page}.js`)}"></script>
</body>
</html>`;
}

function createNonce(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
