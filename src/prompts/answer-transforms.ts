/** What happens to an answer between the model and the document. */
import { CodeFilter, type TextTransform } from './code-filter.ts';
import { chainTransforms, createLineEnds, Indenter } from './indenter.ts';
import type { InsertionPlace } from './insertion-place.ts';
import type { BuiltPrompt } from './prompt-building.ts';

type Form = Pick<BuiltPrompt, 'isCode' | 'startsInside'>;

/** For an editor of its own. */
export function createTextTransform({ isCode, startsInside }: Form): TextTransform {
  return isCode ? new CodeFilter({ startsInside }) : createLineEnds('\n');
}

/** For a place in the middle of other code. A text, in a Markdown file say, keeps its fences. */
export function createCodeTransform({ isCode, startsInside }: Form, place: InsertionPlace): TextTransform {
  const filter = isCode ? new CodeFilter({ startsInside }) : createLineEnds('\n');
  return createLead(chainTransforms(filter, new Indenter(place.style)), place.lead);
}

/** Puts `lead` before the first text that comes, and nothing when none comes. */
function createLead(inner: TextTransform, lead: string): TextTransform {
  let isFirst = true;
  const put = (text: string) => {
    if (!isFirst || text === '') return text;
    isFirst = false;
    return lead + text;
  };
  return {
    get isDone() {
      return inner.isDone;
    },
    push: (chunk) => put(inner.push(chunk)),
    end: () => put(inner.end()),
  };
}
