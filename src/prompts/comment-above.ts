/** The instruction that stands in the comment above the cursor, or on its own line before it. */

const lineMarkers: Readonly<Record<string, readonly string[]>> = {
  python: ['#'],
  ruby: ['#'],
  shellscript: ['#'],
  yaml: ['#'],
  toml: ['#'],
  dockerfile: ['#'],
  makefile: ['#'],
  perl: ['#'],
  r: ['#'],
  julia: ['#'],
  elixir: ['#'],
  powershell: ['#'],
  php: ['//', '#'],
  sql: ['--'],
  lua: ['--'],
  haskell: ['--'],
  clojure: [';'],
  lisp: [';'],
  ini: [';', '#'],
  latex: ['%'],
  tex: ['%'],
  bat: ['REM ', '::'],
  html: [],
  xml: [],
  markdown: [],
  plaintext: [],
};
const slashes = ['//'];

const blocks: readonly (readonly [string, string])[] = [
  ['/*', '*/'],
  ['<!--', '-->'],
  ['"""', '"""'],
  ["'''", "'''"],
];

/** `lines` end with the text before the cursor. Undefined when there is no comment. */
export function readCommentAbove(lines: readonly string[], languageId: string): string | undefined {
  const above = [...lines];
  while (above.length > 1 && above.at(-1)?.trim() === '' && lines.length - above.length < 2) above.pop();
  const text = readLineComments(above, lineMarkers[languageId] ?? slashes) ?? readBlockComment(above);
  return text?.trim() || undefined;
}

/** Whether the text before the cursor, on its line, ends in a comment. */
export function endsInComment(beforeOnLine: string, languageId: string): boolean {
  return readCommentAbove([beforeOnLine], languageId) !== undefined;
}

function readLineComments(lines: readonly string[], markers: readonly string[]): string | undefined {
  const found: string[] = [];
  for (const line of [...lines].reverse()) {
    const text = line.trim();
    const marker = markers.find((candidate) => text.startsWith(candidate));
    if (marker === undefined) break;
    found.unshift(stripMarker(text, marker));
  }
  return found.length > 0 ? found.filter((line) => line !== '').join(' ') : undefined;
}

/** Also `///`, `##` and `//!`. */
function stripMarker(text: string, marker: string): string {
  const last = marker.trim().at(-1) as string;
  let rest = text.slice(marker.length);
  while (rest.startsWith(last)) rest = rest.slice(1);
  return rest.replace(/^!/, '').trim();
}

function readBlockComment(lines: readonly string[]): string | undefined {
  const last = lines.at(-1)?.trim() ?? '';
  for (const [open, close] of blocks) {
    if (!last.endsWith(close)) continue;
    const text = lines.join('\n');
    const end = text.lastIndexOf(close);
    const start = text.lastIndexOf(open, end - 1);
    if (start < 0 || start === end) continue;
    const before = text.slice(text.lastIndexOf('\n', start) + 1, start);
    if (before.trim() !== '') continue;
    const inner = text.slice(start + open.length, end).split('\n');
    return inner
      .map((line) => line.trim().replace(/^\*+\s?/, ''))
      .join(' ')
      .replace(/\s+/g, ' ')
      .trim();
  }
  return undefined;
}
