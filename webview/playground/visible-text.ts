/** A token's text on one line, with every character to be seen: spaces, line breaks, controls, broken bytes. */

const names: Record<string, string> = { ' ': '·', '\n': '↵', '\r': '␍', '\t': '→', '\u00a0': '⍽', '\ufffd': '\ufffd' };

// Controls, format characters (bidi marks, joiners), separators and lone surrogates.
const unseen = /[\p{Cc}\p{Cf}\p{Zs}\p{Zl}\p{Zp}\p{Cs}]/gu;

export function visibleText(text: string): string {
  if (text === '') return '∅';
  return text.replace(
    unseen,
    (one) => names[one] ?? `⟨${one.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}⟩`,
  );
}
