/** What a playground holds and every way it changes. Pure: each function returns a new draft and leaves the old one. */
import type { Alternative, TokenStep } from '../../src/shared/engine-contract.ts';
import type { AnswerStep, Draft, Message, Opening, Role, Version } from '../../src/shared/playground-contract.ts';
import { defaultSampling, type SamplingSettings } from '../../src/shared/sampling-settings.ts';

export function newDraft(id: string, now: number, kept?: Draft): Draft {
  return {
    version: 1,
    id,
    savedAt: now,
    nextId: 1,
    system: kept?.system ?? '',
    messages: [],
    composer: '',
    sampling: kept?.sampling ?? defaultSampling,
    biasLabels: kept?.biasLabels ?? {},
    view: {
      ...(kept?.view ?? { colour: 'raw', isSettingsOpen: true, isPromptOpen: false, promptAs: 'text' }),
      scrollTop: 0,
    },
  };
}

/** A conversation from outside: its first system message is the system prompt, a last user message is ready to send. */
export function openDraft(id: string, now: number, { messages }: Opening): Draft {
  const draft = newDraft(id, now);
  const rest = [...messages];
  const system = rest[0]?.role === 'system' ? rest.shift()!.content : '';
  const composer = rest.at(-1)?.role === 'user' ? rest.pop()!.content : '';
  return rest.reduce((so, { role, content }) => addMessage(so, role, content), { ...draft, system, composer });
}

export function isEmpty({ messages, composer, system }: Draft): boolean {
  return messages.length === 0 && composer === '' && system === '';
}

export function versionText({ prefix, steps, trimmed = 0 }: Version): string {
  const generated = steps.map((step) => step.text).join('');
  return prefix + generated.slice(0, generated.length - trimmed);
}

export function shownVersion(message: Message): Version {
  return message.versions[message.shown] ?? message.versions[0]!;
}

export function messageText(message: Message): string {
  return versionText(shownVersion(message));
}

export function findMessage(draft: Draft, messageId: number): Message | undefined {
  return draft.messages.find(({ id }) => id === messageId);
}

// --- What a person does ----------------------------------------------------------------------------------------------

export function addMessage(draft: Draft, role: Role, text: string, afterId?: number): Draft {
  const { nextId } = draft;
  const version: Version = { id: nextId + 1, prefix: text, steps: [], status: 'written' };
  const index = draft.messages.findIndex(({ id }) => id === afterId);
  const at = index < 0 ? draft.messages.length : index + 1;
  const message: Message = { id: nextId, role, versions: [version], shown: 0 };
  return { ...draft, nextId: nextId + 2, messages: draft.messages.toSpliced(at, 0, message) };
}

export function deleteMessage(draft: Draft, messageId: number): Draft {
  return { ...draft, messages: draft.messages.filter(({ id }) => id !== messageId) };
}

export function setRole(draft: Draft, messageId: number, role: Role): Draft {
  return changeMessage(draft, messageId, (message) => ({ ...message, role }));
}

export function showVersion(draft: Draft, messageId: number, index: number): Draft {
  return changeMessage(draft, messageId, (message) =>
    index >= 0 && index < message.versions.length ? { ...message, shown: index } : message,
  );
}

/** Rewrites a text by hand. What the model generated is kept as a version of its own; what was written is replaced. */
export function setText(draft: Draft, messageId: number, text: string): Draft {
  const message = findMessage(draft, messageId);
  if (!message || messageText(message) === text) return draft;
  if (shownVersion(message).steps.length > 0) return editByHand(draft, messageId, text);
  const rewritten: Version = { id: shownVersion(message).id, prefix: text, steps: [], status: 'written' };
  return changeVersion(draft, messageId, rewritten.id, () => rewritten);
}

/** A version without token details, to be written in; the one in view is kept. */
export function editByHand(draft: Draft, messageId: number, text?: string): Draft {
  const message = findMessage(draft, messageId);
  if (!message) return draft;
  return addVersion(draft, messageId, { prefix: text ?? messageText(message), steps: [], status: 'written' });
}

export function setSampling(draft: Draft, patch: Partial<SamplingSettings>): Draft {
  return { ...draft, sampling: { ...draft.sampling, ...patch } };
}

/** No seed: a random one for every run. */
export function setSeed(draft: Draft, seed: number | undefined): Draft {
  const { seed: _dropped, ...rest } = draft.sampling;
  return { ...draft, sampling: seed === undefined ? rest : { ...rest, seed } };
}

/** No bias: the token is left alone. */
export function setBias(draft: Draft, tokenId: number, label: string, bias: number | undefined): Draft {
  const key = String(tokenId);
  const { logitBias = {}, ...rest } = draft.sampling;
  const { [key]: _bias, ...others } = logitBias;
  const { [key]: _label, ...labels } = draft.biasLabels;
  const next = bias === undefined ? others : { ...others, [key]: bias };
  const sampling = Object.keys(next).length > 0 ? { ...rest, logitBias: next } : rest;
  return { ...draft, sampling, biasLabels: bias === undefined ? labels : { ...labels, [key]: label } };
}

// --- What a run does -------------------------------------------------------------------------------------------------

/** Where an answer starts: from nothing, from a text, or from tokens that are there already. */
export type Start = Pick<Version, 'prefix' | 'steps' | 'branch'>;

export const freshStart: Start = { prefix: '', steps: [] };

/** All of an answer so far. A last token without text is the end mark that the model gave: it is left out. */
export function continueStart(version: Version): Start {
  const { prefix, steps, numbers } = version;
  const hasEndMark = numbers?.finish === 'end' && steps.at(-1)?.text === '';
  return { prefix, steps: hasEndMark ? steps.slice(0, -1) : steps };
}

/** An answer up to a token, with another token in its place. */
export function branchStart(version: Version, at: number, alternative: Alternative): Start {
  const left = version.steps[at];
  if (!left) return continueStart(version);
  const before = version.steps.slice(0, at);
  const { id, text, rawLogprob, logprob } = alternative;
  const { logprob: _own, ...shared } = left;
  const endByte = left.startByte + new TextEncoder().encode(text).length;
  const picked: AnswerStep = { ...shared, id, text, rawLogprob, endByte, isPicked: true };
  const step = logprob === undefined ? picked : { ...picked, logprob };
  return { prefix: version.prefix, steps: [...before, step], branch: { from: version.id, at } };
}

/** Adds a running version and shows it. */
export function beginVersion(draft: Draft, messageId: number, start: Start): Draft {
  return addVersion(draft, messageId, { ...start, status: 'running' });
}

export function appendSteps(draft: Draft, messageId: number, versionId: number, steps: readonly TokenStep[]): Draft {
  return changeVersion(draft, messageId, versionId, (version) => ({
    ...version,
    steps: [...version.steps, ...steps.map(toStorable)],
  }));
}

export function endVersion(
  draft: Draft,
  messageId: number,
  versionId: number,
  end: Pick<Version, 'status' | 'error' | 'numbers' | 'trimmed'>,
): Draft {
  return changeVersion(draft, messageId, versionId, (version) => ({ ...version, ...end }));
}

/** How many characters at the end of `streamed` are not in `text`, which a stop string cut. */
export function trimmedLength(streamed: string, text: string): number {
  return streamed.startsWith(text) ? streamed.length - text.length : 0;
}

/** A restored draft: what was running when the window went away is not running any more. */
export function mendInterrupted(draft: Draft): Draft {
  const error = { code: 'cancelled' as const, message: 'The window was reloaded in the middle of this answer.' };
  const mend = (version: Version): Version =>
    version.status === 'running' ? { ...version, status: 'stopped', error } : version;
  return { ...draft, messages: draft.messages.map((one) => ({ ...one, versions: one.versions.map(mend) })) };
}

// --- Inside ----------------------------------------------------------------------------------------------------------

function addVersion(draft: Draft, messageId: number, version: Omit<Version, 'id'>): Draft {
  const changed = changeMessage(draft, messageId, (message) => {
    // An answer that never got a word makes room for the next.
    const kept = message.versions.filter((one) => versionText(one) !== '' || one.steps.length > 0);
    return { ...message, versions: [...kept, { ...version, id: draft.nextId }], shown: kept.length };
  });
  return { ...changed, nextId: draft.nextId + 1 };
}

function changeMessage(draft: Draft, messageId: number, change: (message: Message) => Message): Draft {
  return { ...draft, messages: draft.messages.map((one) => (one.id === messageId ? change(one) : one)) };
}

function changeVersion(draft: Draft, messageId: number, versionId: number, change: (one: Version) => Version): Draft {
  return changeMessage(draft, messageId, (message) => ({
    ...message,
    versions: message.versions.map((one) => (one.id === versionId ? change(one) : one)),
  }));
}

/** JSON, which keeps drafts, has no infinities. */
function toStorable(step: TokenStep): TokenStep {
  const finite = (value: number) => Math.max(-1e6, value);
  return { ...step, rawLogprob: finite(step.rawLogprob), logprob: finite(step.logprob) };
}
