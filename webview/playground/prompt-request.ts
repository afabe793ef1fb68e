/** What the engine is asked for a conversation. Pure. */
import type { ChatMessage, PromptInput } from '../../src/shared/engine-contract.ts';
import type { Draft, Message } from '../../src/shared/playground-contract.ts';
import { messageText, type Start } from './conversation.ts';

export interface PromptRequest {
  readonly input: PromptInput;
  readonly continuation: number[];
}

/** What is read before the answer `messageId` is written from `start`: only the messages above it. */
export function requestFor(draft: Draft, messageId: number, start: Start, hasTemplate: boolean): PromptRequest {
  const index = draft.messages.findIndex(({ id }) => id === messageId);
  const above = index < 0 ? draft.messages : draft.messages.slice(0, index);
  const input = toInput(toChat(draft, above), start.prefix, hasTemplate);
  return { input, continuation: start.steps.map(({ id }) => id) };
}

/** What would be read if the conversation, with what is being written, were run now. */
export function nextInput(draft: Draft, hasTemplate: boolean): PromptInput {
  const chat = toChat(draft, draft.messages);
  if (draft.composer !== '') chat.push({ role: 'user', content: draft.composer });
  return toInput(chat, '', hasTemplate);
}

function toChat({ system }: Draft, messages: readonly Message[]): ChatMessage[] {
  const chat = messages.map((message): ChatMessage => ({ role: message.role, content: messageText(message) }));
  return system === '' ? chat : [{ role: 'system', content: system }, ...chat];
}

/** A model without a chat template reads the messages as one text. */
function toInput(messages: ChatMessage[], opened: string, hasTemplate: boolean): PromptInput {
  if (!hasTemplate) {
    const text = messages.map(({ content }) => content).join('\n\n');
    return { kind: 'text', text: opened === '' ? text : `${text}\n\n${opened}` };
  }
  if (opened === '') return { kind: 'chat', messages };
  return { kind: 'chat', messages: [...messages, { role: 'assistant', content: opened }], continueLast: true };
}
