/** Prompts of an exact number of tokens, as ids and as the text that every side's tokenizer cuts into those ids. */
import { readFile } from 'node:fs/promises';

/** @typedef {{ids: number[], text: string}} Prompt */

/**
 * @param {string} tokenizerFile  tokenizer.json of a byte-level BPE model.
 * @returns {Promise<(count: number, salt: number) => Prompt>} prompts of different `salt` share no beginning
 */
export async function readPrompts(tokenizerFile) {
  const { model } = JSON.parse(await readFile(tokenizerFile, 'utf8'));
  // A space and letters alone are a piece of their own, whatever follows. "Ġ" is the space of byte-level BPE.
  const words = Object.entries(/** @type {Record<string, number>} */ (model.vocab)).filter(([token]) =>
    /^Ġ[a-z]{4,}$/.test(token),
  );
  return (count, salt) => {
    const chosen = Array.from(
      { length: count },
      (_, i) => /** @type {[string, number]} */ (words[(i * 7919 + salt * 104_729) % words.length]),
    );
    return { ids: chosen.map(([, id]) => id), text: chosen.map(([token]) => token.replace('Ġ', ' ')).join('') };
  };
}
