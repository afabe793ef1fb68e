/** Tells a model's remarks about its code ("Sure! Here is the function:") from the code, one line at a time. */

const openers = [
  'sure',
  'certainly',
  'of course',
  'absolutely',
  'okay',
  'ok,',
  'yes,',
  'great',
  'here is',
  "here's",
  'here’s',
  'here are',
  'below is',
  'the following',
  'this is',
  'this code',
  'this function',
  'this program',
  'this script',
  'i ',
  "i'll",
  "i've",
  'i’ll',
  'you can',
  'to ',
  'as an ai',
  'let me',
  "let's",
  'we can',
  'the code',
  'the function',
  'the answer',
  'the new code',
  'answer:',
  'code:',
  'solution:',
  'output:',
];

const closers = [
  'this code',
  'this function',
  'this method',
  'this class',
  'this program',
  'this script',
  'this implementation',
  'this solution',
  'this will',
  'this is',
  'in this',
  'the above',
  'the code',
  'the function',
  'explanation',
  'note:',
  'note that',
  '**note',
  '**explanation',
  'example usage:',
  'example output:',
  'output:',
  'you can',
  'here is',
  "here's",
  'here’s',
  'i hope',
  'hope this',
  'let me know',
];

const lists = { opening: openers, closing: closers };

/** Whether a line that begins like this can still turn out to be a remark. */
export function couldBecomeChatter(beginning: string, where: keyof typeof lists): boolean {
  const text = beginning.toLowerCase();
  return lists[where].some((phrase) => phrase.startsWith(text) || text.startsWith(phrase));
}

export function isOpeningChatter(line: string): boolean {
  return startsLike(line, openers) && readsLikeProse(line);
}

export function isClosingChatter(line: string): boolean {
  return startsLike(line, closers) && readsLikeProse(line);
}

function startsLike(line: string, phrases: readonly string[]): boolean {
  const text = `${line.toLowerCase()} `;
  return phrases.some((phrase) => text.startsWith(phrase));
}

/** A sentence or a heading: ends like one, or is a handful of words; no sign of code outside of `quoted` parts. */
function readsLikeProse(line: string): boolean {
  const text = line.replace(/`[^`]*`/g, 'x').trim();
  if (/[;{}]|=|->|::|\(\)|\w\(\w|\w\.\w+\(/.test(text)) return false;
  if (/[.:!?]["')*]*$/.test(text)) return true;
  return /^[\p{L}\p{P}\s\d]+$/u.test(text) && (text.match(/\S+/g) ?? []).length >= 4;
}
