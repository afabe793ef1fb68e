/**
 * Token healing: takes back what touches the cursor, so that the model may write it in the tokens it is used to.
 *
 * A text cut in the middle of what the tokenizer would join ("retu", "foo(", "return ") ends in tokens that the model has
 * never seen followed by the right ones. The prompt therefore ends before them, and the answer must spell them.
 */

export interface HealedPrompt {
  /** What the model reads. */
  readonly prompt: string;
  /** What its answer must begin with; may be empty. `prompt + heal` is the text before the cursor. */
  readonly heal: string;
}

/** A word, a run of punctuation, or neither, with the one blank before it: what a byte-pair tokenizer may join. */
const touching = /[ \t]?[\p{L}\p{M}\p{N}_]+$|[ \t]?[^\s\p{L}\p{M}\p{N}_]+$|[ \t]$/u;

/** A longer run is no word: data, a key, a line of dashes. Healing it would only cost time. */
const longestRun = 48;

export function splitForHealing(textBeforeCursor: string): HealedPrompt {
  const tail = textBeforeCursor.slice(-longestRun - 2);
  const found = touching.exec(tail)?.[0] ?? '';
  const heal = found.length > longestRun ? '' : found;
  return { prompt: textBeforeCursor.slice(0, textBeforeCursor.length - heal.length), heal };
}
