/**
 * Text to token ids exactly as Hugging Face's tokenizers do it, except that the caller says which special tokens are
 * control and which are text.
 *
 * The parts (normaliser, pre-tokenizer, model) are those of transformers.js; only the loop over the stretches between
 * added tokens is here, because theirs takes every special token that it sees for control.
 */
import { PreTrainedTokenizer } from '@huggingface/transformers';
import { AppError } from '../../../src/shared/app-error.ts';
import { AddedTokenFinder } from './added-tokens.ts';
import { readTokenBytes, type Spelling, spellingOf } from './token-bytes.ts';
import { locateTokens } from './token-offsets.ts';
import type { AddedToken, TokenizerConfig, TokenizerJson } from './tokenizer-json.ts';

type Tokenizer = PreTrainedTokenizer['_tokenizer'];

/** A token and the stretch of the text that it stands for, in UTF-16 code units. */
export interface PlacedToken {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

export class ModelTokenizer {
  /** Added tokens with control meaning, by id. */
  readonly specials: ReadonlyMap<number, AddedToken>;
  /** What each token spells; nothing for special tokens. */
  readonly bytes: readonly Uint8Array[];
  /** Ids that go before every text (`<s>` in many models). */
  readonly prefixIds: readonly number[];
  /** Ids that go behind a text that is whole (`</s>`, `[SEP]`): what is to be continued has none. */
  readonly suffixIds: readonly number[];
  readonly #tokenizer: Tokenizer;
  readonly #spelling: Spelling;
  readonly #normalisedAdded: AddedTokenFinder;
  readonly #allAdded: AddedTokenFinder;

  constructor(json: TokenizerJson, config: TokenizerConfig) {
    const added = json.added_tokens;
    const special = added.filter((token) => token.special);
    const plain = added.filter((token) => !token.special);
    this.specials = new Map(special.map((token) => [token.id, token]));
    this.#tokenizer = buildTokenizer(hideSpecials(json, special), config);
    const { normalizer } = this.#tokenizer;
    const isNormalised = (token: AddedToken) => token.normalized && normalizer !== null;
    const asSeen = (token: AddedToken) => normalizer?.(token.content) ?? token.content;
    // Special tokens are looked for in the text as written, even those marked `normalized`.
    const asWritten = plain.filter((token) => !isNormalised(token));
    this.#normalisedAdded = new AddedTokenFinder(plain.filter(isNormalised), asSeen);
    this.#allAdded = new AddedTokenFinder([...special, ...asWritten]);
    const vocabulary: (string | undefined)[] = [...(this.#tokenizer.model?.vocab ?? [])];
    for (const token of added) vocabulary[token.id] = token.content;
    this.#spelling = spellingOf(json);
    this.bytes = readTokenBytes(vocabulary, this.#spelling, {
      added: new Map(plain.map((token) => [token.id, token.content])),
      silent: new Set(special.map((token) => token.id)),
      endOfWord: this.#tokenizer.model?.end_of_word_suffix,
    });
    [this.prefixIds, this.suffixIds] = this.#readAround();
  }

  get specialContents(): string[] {
    return [...this.specials.values()].map((token) => token.content);
  }

  /**
   * @param shown the text in which special tokens are control; stand-ins keep those of the user out of it
   * @param reveal puts the user's own characters back; it changes no length
   */
  encode(shown: string, reveal: (text: string) => string = (text) => text): PlacedToken[] {
    const tokens: PlacedToken[] = [];
    for (const [index, { start, end, token }] of this.#allAdded.split(shown).entries()) {
      if (token) tokens.push({ id: token.id, start, end });
      else this.#encodeStretch(reveal(shown.slice(start, end)), { start, index }, tokens);
    }
    return tokens;
  }

  #encodeStretch(text: string, at: { start: number; index: number }, tokens: PlacedToken[]): void {
    const { normalizer } = this.#tokenizer;
    // The user's text, revealed, may hold added tokens that are no control: they were found in `shown` already.
    const normalised = normalizer ? normalizer(text) : text;
    const ids: number[] = [];
    for (const { start, end, token } of this.#normalisedAdded.split(normalised)) {
      if (token) ids.push(token.id);
      else this.#encodePlain(normalised.slice(start, end), at.index, ids);
    }
    const pieces = ids.map((id) => this.#piece(id));
    const asSpelled = (part: string) => {
      const changed = normalizer?.(part) ?? part;
      return this.#spelling === 'metaspace' ? changed.replaceAll('\u2581', ' ') : changed;
    };
    const spans = locateTokens(text, pieces, normalizer ? asSpelled : undefined);
    for (const [i, id] of ids.entries()) {
      const span = spans[i] ?? { start: 0, end: 0 };
      tokens.push({ id, start: at.start + span.start, end: at.start + span.end });
    }
  }

  /** What the post-processor puts before and after a text. */
  #readAround(): [number[], number[]] {
    const probe = '\u{10ffff}';
    const tokens = this.#tokenizer.post_processor?.([probe], null, true).tokens ?? [];
    const at = tokens.indexOf(probe);
    const idsOf = (names: readonly string[]) =>
      names.flatMap((name) => [...this.specials.values()].find(({ content }) => content === name)?.id ?? []);
    return at < 0 ? [[], []] : [idsOf(tokens.slice(0, at)), idsOf(tokens.slice(at + 1))];
  }

  /** What a token spells inside a text: WordPiece's spaces are between its tokens, not in them. */
  #piece(id: number): Uint8Array | undefined {
    const bytes = this.bytes[id];
    if (!bytes || bytes.length === 0) return undefined;
    return this.#spelling === 'wordpiece' && bytes[0] === 0x20 ? bytes.subarray(1) : bytes;
  }

  #encodePlain(text: string, sectionIndex: number, ids: number[]): void {
    const { pre_tokenizer: preTokenizer, model } = this.#tokenizer;
    if (text.length === 0 || !model) return;
    const words = preTokenizer ? preTokenizer(text, { section_index: sectionIndex }) : [text];
    for (const piece of model(words)) {
      const id = model.tokens_to_ids.get(piece) ?? model.unk_token_id;
      if (id === undefined) throw new AppError('bad-input', `The model's vocabulary has no token for "${piece}".`);
      ids.push(id);
    }
  }
}

function buildTokenizer(json: TokenizerJson, config: TokenizerConfig): Tokenizer {
  try {
    return new PreTrainedTokenizer(json, config)._tokenizer;
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('model-unsupported', `This kind of tokenizer cannot be used: ${detail}`, { cause });
  }
}

/** The same tokenizer without special tokens: their names are taken out of the vocabulary, their ids stay theirs. */
function hideSpecials(json: TokenizerJson, special: readonly AddedToken[]): TokenizerJson {
  const names = new Map(special.map((token) => [token.content, `\u{10ffff}${token.id}`]));
  const rename = (name: string) => names.get(name) ?? name;
  const { vocab } = json.model;
  const unk = json.model.unk_token;
  return {
    ...json,
    added_tokens: [],
    model: {
      ...json.model,
      ...(typeof unk === 'string' ? { unk_token: rename(unk) } : {}),
      vocab: Array.isArray(vocab)
        ? vocab.map(([name, score]) => [rename(name), score])
        : Object.fromEntries(Object.entries(vocab).map(([name, id]) => [rename(name), id])),
    },
  };
}
