/** What can be asked about a selection: one row each. */
import { isProse, nameLanguage } from './language-names.ts';

export interface Instruction {
  readonly id: 'explain' | 'summarise' | 'translate' | 'fix' | 'tests' | 'custom';
  readonly label: string;
  readonly detail: string;
  readonly icon: string;
  /** Asked for before running. */
  readonly argument?: { readonly title: string; readonly placeholder: string };
  /** The answer is code in the language of the selection, not a text about it. */
  readonly givesCode: boolean;
  /** The sentence that the model gets; `what` is "code" or "text". */
  readonly ask: (what: string, languageId: string, argument: string) => string;
}

export const instructions: readonly Instruction[] = [
  {
    id: 'explain',
    label: 'Explain',
    detail: 'What it says or does, in plain words',
    icon: 'comment-discussion',
    givesCode: false,
    ask: (what) => `Explain in plain words what the following ${what} ${what === 'code' ? 'does' : 'says'}.`,
  },
  {
    id: 'summarise',
    label: 'Summarise',
    detail: 'The main points, shorter',
    icon: 'list-selection',
    givesCode: false,
    ask: (what) => `Summarise the following ${what} in a few sentences.`,
  },
  {
    id: 'translate',
    label: 'Translate…',
    detail: 'Into another language, of people or of computers',
    icon: 'globe',
    argument: { title: 'Translate into', placeholder: 'French, Chinese, Python, …' },
    givesCode: false,
    ask: (what, _languageId, argument) => `Translate the following ${what} into ${argument}.`,
  },
  {
    id: 'fix',
    label: 'Fix',
    detail: 'Find the mistakes and correct them',
    icon: 'wrench',
    givesCode: true,
    ask: (what) => `Correct the mistakes in the following ${what}. Answer with the corrected ${what} only.`,
  },
  {
    id: 'tests',
    label: 'Write Tests',
    detail: 'Unit tests in the same language',
    icon: 'beaker',
    givesCode: true,
    ask: (what, languageId) => {
      const language = isProse(languageId) ? '' : ` in ${nameLanguage(languageId)}`;
      return `Write unit tests${language} for the following ${what}. Answer with the tests only.`;
    },
  },
  {
    id: 'custom',
    label: 'Something Else…',
    detail: 'Type the instruction yourself',
    icon: 'edit',
    argument: { title: 'What should be done with the selection?', placeholder: 'Rename the variables to full words' },
    givesCode: false,
    ask: (_what, _languageId, argument) => argument,
  },
];

export function findInstruction(id: string): Instruction | undefined {
  return instructions.find((instruction) => instruction.id === id);
}
