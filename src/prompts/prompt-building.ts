/** Builds what the model reads. The material is always fenced, by a fence that it cannot close itself. */
import type { ChatMessage, PromptInput } from '../shared/engine-contract.ts';
import type { Instruction } from './instructions.ts';
import { fenceInfo, findLanguageId, isProse, nameLanguage } from './language-names.ts';

/** A prompt, and in which form its answer comes. */
export interface BuiltPrompt {
  readonly input: PromptInput;
  /** Language of the editor that the answer goes to. */
  readonly languageId: string;
  /** The answer is code: remarks and fences around it are dropped. */
  readonly isCode: boolean;
  /** The prompt ends with an open fence, so that the model goes on with code. */
  readonly startsInside: boolean;
}

export interface PromptContext {
  readonly systemPrompt: string;
  /** What the prompt is about, when it is about something. */
  readonly material?: string;
  readonly languageId?: string;
}

export function buildPrompt(prompt: string, context: PromptContext): BuiltPrompt {
  const { systemPrompt, material, languageId = 'plaintext' } = context;
  const content = material === undefined ? prompt : `${prompt}\n\n${fenced(material, languageId)}`;
  return finish([...systemMessages(systemPrompt), userMessage(content)], undefined);
}

export interface SelectionRequest {
  readonly instruction: Instruction;
  /** What `instruction.argument` asked for. */
  readonly argument: string;
  readonly material: string;
  readonly languageId: string;
  readonly systemPrompt: string;
}

export function buildSelectionPrompt(request: SelectionRequest): BuiltPrompt {
  const { instruction, argument, material, languageId, systemPrompt } = request;
  const what = isProse(languageId) ? 'text' : 'code';
  const ask = instruction.ask(what, languageId, argument);
  const user = userMessage(`${ask}\n\n${fenced(material, languageId)}`);
  const target = targetLanguage(request);
  return finish([...systemMessages(systemPrompt), user], target);
}

/** The language in which the answer is code, or undefined when it is a text about it. */
function targetLanguage({ instruction, argument, languageId }: SelectionRequest): string | undefined {
  if (instruction.id === 'translate') return findLanguageId(argument);
  return instruction.givesCode && !isProse(languageId) ? languageId : undefined;
}

export interface GenerateRequest {
  readonly instruction: string;
  /** What stands before the cursor. */
  readonly before: string;
  readonly languageId: string;
  readonly systemPrompt: string;
}

/** A small model makes most of what stands right before the cursor, and reading more takes time. */
const mostContext = 1500;

export function buildGeneratePrompt(request: GenerateRequest): BuiltPrompt {
  const { instruction, languageId, systemPrompt } = request;
  const context = lastLines(request.before, mostContext);
  const kind = isProse(languageId) ? 'the following' : `${nameLanguage(languageId)} code`;
  const parts = [`Write ${kind}: ${instruction}`];
  if (context !== '') parts.push(`It goes after this:\n\n${fenced(context, languageId)}`);
  parts.push(isProse(languageId) ? 'Answer with the text only.' : 'Answer with the new code only.');
  const user = userMessage(parts.join('\n\n'));
  return finish([...systemMessages(systemPrompt), user], isProse(languageId) ? undefined : languageId);
}

function finish(messages: ChatMessage[], codeLanguage: string | undefined): BuiltPrompt {
  if (codeLanguage === undefined)
    return { input: { kind: 'chat', messages }, languageId: 'markdown', isCode: false, startsInside: false };
  const opened: ChatMessage = { role: 'assistant', content: `\`\`\`${fenceInfo(codeLanguage)}\n` };
  return {
    input: { kind: 'chat', messages: [...messages, opened], continueLast: true },
    languageId: codeLanguage,
    isCode: true,
    startsInside: true,
  };
}

function systemMessages(systemPrompt: string): ChatMessage[] {
  return systemPrompt.trim() === '' ? [] : [{ role: 'system', content: systemPrompt }];
}

function userMessage(content: string): ChatMessage {
  return { role: 'user', content };
}

export function fenced(material: string, languageId: string): string {
  const runs = material.match(/`+/g) ?? [];
  const fence = '`'.repeat(Math.max(3, ...runs.map((run) => run.length + 1)));
  return `${fence}${fenceInfo(languageId)}\n${material}${material.endsWith('\n') ? '' : '\n'}${fence}`;
}

/** The end of a text, from a line start, in at most `limit` characters where lines allow; blank lines around dropped. */
export function lastLines(text: string, limit: number): string {
  const cut = text.length > limit ? text.slice(text.length - limit) : text;
  const firstBreak = cut.indexOf('\n');
  const whole = text.length > limit && firstBreak >= 0 ? cut.slice(firstBreak + 1) : cut;
  return whole.replace(/^(?:[ \t]*\r?\n)+/, '').trimEnd();
}
