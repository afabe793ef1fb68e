/** Languages of code, by VS Code's identifiers and by what people call them. */

const names: Readonly<Record<string, string>> = {
  bat: 'Batch',
  c: 'C',
  clojure: 'Clojure',
  cpp: 'C++',
  csharp: 'C#',
  css: 'CSS',
  dart: 'Dart',
  dockerfile: 'Dockerfile',
  elixir: 'Elixir',
  fsharp: 'F#',
  go: 'Go',
  haskell: 'Haskell',
  html: 'HTML',
  java: 'Java',
  javascript: 'JavaScript',
  javascriptreact: 'JavaScript (JSX)',
  json: 'JSON',
  jsonc: 'JSON',
  julia: 'Julia',
  kotlin: 'Kotlin',
  lua: 'Lua',
  makefile: 'Makefile',
  'objective-c': 'Objective-C',
  perl: 'Perl',
  php: 'PHP',
  powershell: 'PowerShell',
  python: 'Python',
  r: 'R',
  ruby: 'Ruby',
  rust: 'Rust',
  scala: 'Scala',
  scss: 'SCSS',
  shellscript: 'shell',
  sql: 'SQL',
  svelte: 'Svelte',
  swift: 'Swift',
  toml: 'TOML',
  typescript: 'TypeScript',
  typescriptreact: 'TypeScript (TSX)',
  vue: 'Vue',
  xml: 'XML',
  yaml: 'YAML',
};

/** Texts for people: nothing in them is code. */
const proseLanguages = new Set(['plaintext', 'markdown', 'latex', 'tex', 'restructuredtext', 'scminput', 'log']);

export function isProse(languageId: string): boolean {
  return proseLanguages.has(languageId);
}

export function nameLanguage(languageId: string): string {
  return names[languageId] ?? languageId;
}

/** The identifier of a programming language that somebody typed, such as "Type script" or "c++"; else undefined. */
export function findLanguageId(typed: string): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[\s-]+/g, '');
  const wanted = plain(typed);
  return Object.keys(names).find((id) => plain(id) === wanted || plain(nameLanguage(id)) === wanted);
}

/** What follows the opening fence. */
export function fenceInfo(languageId: string): string {
  if (languageId === 'shellscript') return 'sh';
  return languageId === 'plaintext' ? '' : languageId;
}
