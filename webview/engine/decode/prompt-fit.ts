/**
 * Makes a prompt fit the context, or says by how much it does not.
 *
 * With `cut-start` room is left for the answer: `maxTokens`, but at most a quarter of the context. A plain text and a
 * list of ids lose their first tokens (a leading `<s>` stays). A conversation stays one that its template takes: its
 * oldest turns go first, whole; when only the last is left, its longest message loses text from the start of its
 * material, that is after its first paragraph when that is short, because that is where an instruction stands.
 */
import { AppError } from '../../../src/shared/app-error.ts';
import type { ChatMessage, EncodedPrompt, PromptInput } from '../../../src/shared/engine-contract.ts';

export interface FitRequest {
  readonly input: PromptInput;
  /** Ids that follow the prompt. */
  readonly continuation: readonly number[];
  readonly overflow: 'refuse' | 'cut-start';
  readonly maxTokens: number;
  readonly contextLength: number;
}

export interface FittedPrompt {
  readonly ids: number[];
  readonly cutTokens: number;
  readonly neutralised: string[];
}

type Encode = (input: PromptInput) => EncodedPrompt;

/** @throws AppError `context-overflow` when it does not fit, and `bad-input` when there is nothing to read. */
export function fitPrompt(encode: Encode, request: FitRequest): FittedPrompt {
  const { input, continuation, overflow, maxTokens, contextLength } = request;
  const whole = encode(input);
  const length = whole.tokens.length + continuation.length;
  if (length === 0) throw new AppError('bad-input', 'There is nothing to read: the prompt is empty. Write something.');
  const fitted = (encoded: EncodedPrompt, ids = encoded.tokens.map(({ id }) => id)): FittedPrompt => ({
    ids,
    cutTokens: whole.tokens.length - ids.length,
    neutralised: whole.neutralised,
  });
  if (length < contextLength) return fitted(whole);
  if (overflow === 'refuse') throw tooLong(length, contextLength);
  const reserve = Math.max(1, Math.min(maxTokens, Math.floor(contextLength / 4)));
  const room = contextLength - reserve - continuation.length;
  if (room < 1) throw tooLong(length, contextLength);
  return input.kind === 'chat'
    ? fitted(cutConversation(encode, input, room, () => tooLong(length, contextLength)))
    : fitted(whole, cutStart(whole, room));
}

function tooLong(length: number, contextLength: number): AppError {
  const excess = length - (contextLength - 1); // the answer needs one
  const count = (tokens: number) => `${tokens.toLocaleString('en')} ${tokens === 1 ? 'token' : 'tokens'}`;
  return new AppError(
    'context-overflow',
    `The prompt is ${count(excess)} too long: it has ${count(length)}, and the model reads at most ${count(contextLength - 1)} before its answer. Shorten it, or have it cut at the start.`,
  );
}

function cutStart({ tokens }: EncodedPrompt, room: number): number[] {
  const head = tokens.findIndex((token) => token.end > 0 && !token.isSpecial);
  const kept = tokens.slice(0, Math.min(Math.max(0, head), room - 1));
  let from = tokens.length - (room - kept.length);
  // Not in the middle of a character, which the token before would begin.
  while (from < tokens.length - 1 && (tokens[from - 1]?.end ?? 0) > (tokens[from]?.start ?? 0)) from++;
  return [...kept, ...tokens.slice(from)].map(({ id }) => id);
}

type Chat = Extract<PromptInput, { kind: 'chat' }>;

function cutConversation(encode: Encode, input: Chat, room: number, refusal: () => AppError): EncodedPrompt {
  let messages: ChatMessage[] = input.messages.map((message) => ({ ...message }));
  for (;;) {
    const encoded = encode({ ...input, messages });
    const excess = encoded.tokens.length - room;
    if (excess <= 0) return encoded;
    const shorter = withoutOldestTurn(messages) ?? withShorterMaterial(encode, messages, excess);
    if (!shorter) throw refusal();
    messages = shorter;
  }
}

/** A turn is a question with all that answers it; the last one stays. */
function withoutOldestTurn(messages: readonly ChatMessage[]): ChatMessage[] | undefined {
  const isQuestion = ({ role }: ChatMessage) => role === 'user';
  const first = messages.findIndex(({ role }) => role !== 'system');
  const next = messages.findIndex((message, index) => index > first && isQuestion(message));
  if (first < 0 || next < 0) return undefined;
  return [...messages.slice(0, first), ...messages.slice(next)];
}

function withShorterMaterial(
  encode: Encode,
  messages: readonly ChatMessage[],
  excess: number,
): ChatMessage[] | undefined {
  const longest = messages.reduce((a, b) => (b.content.length > a.content.length ? b : a), messages[0] as ChatMessage);
  const { content } = longest;
  const instruction = instructionLength(content);
  const { tokens } = encode({ kind: 'text', text: content.slice(instruction) });
  if (tokens.length === 0) return instruction > 0 ? replace(messages, longest, '') : undefined;
  const cut = instruction + (tokens[Math.min(excess, tokens.length) - 1]?.end ?? content.length);
  return replace(messages, longest, content.slice(0, instruction) + content.slice(cut));
}

function replace(messages: readonly ChatMessage[], message: ChatMessage, content: string): ChatMessage[] {
  return messages.map((other) => (other === message ? { ...message, content } : other));
}

/** The first paragraph with what ends it (a blank line, the opening of a code fence), when it is a short one. */
function instructionLength(content: string): number {
  const end = /\r?\n[^\S\n]*\r?\n|\r?\n(?:```|~~~)[^\n]*\n/.exec(content);
  const length = end ? end.index + end[0].length : 0;
  return length <= Math.min(2_000, content.length / 4) ? length : 0;
}
