/** The bytes that every token of a vocabulary stands for: what a stream of tokens spells, byte for byte. */
import type { TokenizerJson } from './tokenizer-json.ts';

const encoder = new TextEncoder();

/** How token strings stand for bytes. */
export type Spelling = 'byte-level' | 'metaspace' | 'wordpiece';

export function spellingOf(json: TokenizerJson): Spelling {
  const parts = JSON.stringify([json.decoder, json.pre_tokenizer]);
  if (parts.includes('"ByteLevel"')) return 'byte-level';
  return json.model.type === 'WordPiece' ? 'wordpiece' : 'metaspace';
}

/** `tokens[id]` may have holes; a hole, and a token of `silent`, stands for no bytes. */
export function readTokenBytes(
  tokens: readonly (string | undefined)[],
  spelling: Spelling,
  options: { added: ReadonlyMap<number, string>; silent: ReadonlySet<number>; endOfWord?: string | undefined },
): Uint8Array[] {
  const { added, silent, endOfWord } = options;
  const spell = spelling === 'byte-level' ? byteLevelSpeller() : spelling === 'wordpiece' ? spellPiece : spellMetaspace;
  return Array.from(tokens, (token, id) => {
    if (token === undefined || silent.has(id)) return new Uint8Array(0);
    const literal = added.get(id);
    if (literal !== undefined) return encoder.encode(literal);
    if (endOfWord && token.endsWith(endOfWord)) return spell(`${token.slice(0, -endOfWord.length)} `);
    return spell(token);
  });
}

/** GPT-2's table: printable bytes stand for themselves, the 68 others for the characters from U+0100 on, in order. */
function byteLevelSpeller(): (token: string) => Uint8Array {
  const byteOf = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    byteOf.set(String.fromCharCode(isPrintable ? byte : next++), byte);
  }
  return (token) => {
    const bytes: number[] = [];
    // A token that was added without the table, such as one with a real space, reads as its own UTF-8.
    for (const character of token) {
      const byte = byteOf.get(character);
      if (byte === undefined) bytes.push(...encoder.encode(character));
      else bytes.push(byte);
    }
    return Uint8Array.from(bytes);
  };
}

/** SentencePiece: U+2581 is a space, `<0x0A>` one byte. */
function spellMetaspace(token: string): Uint8Array {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
  if (byte) return Uint8Array.of(Number.parseInt(byte[1] ?? '0', 16));
  return encoder.encode(token.replaceAll('\u2581', ' '));
}

/** WordPiece: a piece starts a word, and so a space comes before it, unless it is marked as a continuation. */
function spellPiece(token: string): Uint8Array {
  return encoder.encode(token.startsWith('##') ? token.slice(2) : ` ${token}`);
}
