/** What code that draws by itself (canvas, computed colours) must know of VS Code's theme. */

export type ThemeKind = 'light' | 'dark' | 'high-contrast' | 'high-contrast-light';

export function readThemeKind(): ThemeKind {
  const classes = document.body.classList;
  if (classes.contains('vscode-high-contrast-light')) return 'high-contrast-light';
  if (classes.contains('vscode-high-contrast')) return 'high-contrast';
  return classes.contains('vscode-light') ? 'light' : 'dark';
}

export function isDarkTheme(kind: ThemeKind = readThemeKind()): boolean {
  return kind === 'dark' || kind === 'high-contrast';
}

/** The value of a theme colour, such as `themeColor('editor-foreground')`; `fallback` where the theme has none. */
export function themeColor(name: string, fallback = 'currentColor'): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--vscode-${name}`).trim() || fallback;
}

/** Calls back after VS Code has put another theme's variables in place. Returns the way to stop. */
export function onThemeChange(callback: () => void): () => void {
  const observer = new MutationObserver(callback);
  observer.observe(document.body, { attributes: true, attributeFilter: ['class'] });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['style'] });
  return () => observer.disconnect();
}
