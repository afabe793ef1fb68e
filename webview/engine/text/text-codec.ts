/** Prompts to tokens with true offsets, and tokens back to bytes and text, for one loaded model. */
import { AppError } from '../../../src/shared/app-error.ts';
import type { EncodedPrompt, PromptInput, Token } from '../../../src/shared/engine-contract.ts';
import { ChatTemplate } from './chat-template.ts';
import { Disguise } from './disguise.ts';
import { ModelTokenizer, type PlacedToken } from './model-tokenizer.ts';
import { parseTokenizerConfig, parseTokenizerJson } from './tokenizer-json.ts';

export interface TextCodecFiles {
  readonly tokenizer: unknown;
  readonly tokenizerConfig: unknown;
  readonly chatTemplate?: string | undefined;
}

const utf8Bytes = new TextEncoder();
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

export class TextCodec {
  readonly #tokenizer: ModelTokenizer;
  readonly #template: ChatTemplate | undefined;
  readonly #eosContent: string | undefined;

  constructor(files: TextCodecFiles) {
    const config = parseTokenizerConfig(files.tokenizerConfig);
    this.#tokenizer = new ModelTokenizer(parseTokenizerJson(files.tokenizer), config);
    this.#template = ChatTemplate.read(config, files.chatTemplate);
    this.#eosContent = typeof config.eos_token === 'string' ? config.eos_token : config.eos_token?.content;
  }

  get hasChatTemplate(): boolean {
    return this.#template !== undefined;
  }

  /** The token that the tokenizer itself names as the end of a text. */
  get eosId(): number | undefined {
    for (const [id, token] of this.#tokenizer.specials) if (token.content === this.#eosContent) return id;
    return undefined;
  }

  /** What every token spells; special tokens spell nothing. */
  get tokenBytes(): readonly Uint8Array[] {
    return this.#tokenizer.bytes;
  }

  isSpecial(id: number): boolean {
    return this.#tokenizer.specials.has(id);
  }

  /** How a token reads on its own. */
  textOf(id: number): string {
    return this.#tokenizer.specials.get(id)?.content ?? utf8.decode(this.#tokenizer.bytes[id] ?? new Uint8Array(0));
  }

  /** @throws AppError `bad-input` for ids that the vocabulary does not have and messages the template does not take. */
  encode(input: PromptInput): EncodedPrompt {
    if (input.kind === 'ids') return this.#describeIds(input.ids);
    const texts = input.kind === 'text' ? [input.text] : input.messages.map((message) => message.content);
    const disguise = new Disguise(this.#tokenizer.specialContents, texts);
    const shown = input.kind === 'text' ? disguise.hide(input.text) : this.#renderChat(input, disguise);
    const prefix = input.kind === 'text' ? this.#tokenizer.prefixIds : [];
    const placed = this.#tokenizer.encode(shown, (text) => disguise.reveal(text));
    const prefixTokens = prefix.map((id) => ({ id, start: 0, end: 0 }));
    return {
      text: disguise.reveal(shown),
      tokens: [...prefixTokens, ...placed].map((token) => this.#toToken(token)),
      neutralised: disguise.found,
    };
  }

  /** A text that is whole, with what the tokenizer puts before and behind it; ids as they are. */
  encodeWhole(input: PromptInput): EncodedPrompt {
    const encoded = this.encode(input);
    if (input.kind === 'ids') return encoded;
    const { length } = encoded.text;
    const suffix = this.#tokenizer.suffixIds.map((id) => this.#toToken({ id, start: length, end: length }));
    return { ...encoded, tokens: [...encoded.tokens, ...suffix] };
  }

  /** The prompt and ids that follow it, as one. */
  encodeWith(input: PromptInput, continuation: readonly number[]): EncodedPrompt {
    const prompt = this.encode(input);
    if (continuation.length === 0) return prompt;
    if (input.kind === 'ids') return this.#describeIds([...input.ids, ...continuation]);
    const after = this.#describeIds(continuation);
    const by = prompt.text.length;
    const moved = after.tokens.map((token) => ({ ...token, start: token.start + by, end: token.end + by }));
    return { ...prompt, text: prompt.text + after.text, tokens: [...prompt.tokens, ...moved] };
  }

  #renderChat(input: Extract<PromptInput, { kind: 'chat' }>, disguise: Disguise): string {
    if (!this.#template)
      throw new AppError('model-unsupported', 'This model has no chat template; give it plain text instead.');
    const messages = input.messages.map(({ role, content }) => ({ role, content: disguise.hide(content) }));
    if (!input.continueLast) return this.#template.render(messages, { addGenerationPrompt: true });
    const last = messages.at(-1);
    if (last?.role !== 'assistant')
      throw new AppError('bad-input', 'Only an answer of the model can be continued; the last message is not one.');
    last.content += disguise.mark; // also keeps the template from trimming the end of what is continued
    const rendered = this.#template.render(messages, { addGenerationPrompt: false });
    const end = rendered.lastIndexOf(disguise.mark);
    if (end < 0)
      throw new AppError('model-unsupported', "The model's chat template does not let an answer be continued.");
    return rendered.slice(0, end).replaceAll(disguise.mark, '');
  }

  #toToken({ id, start, end }: PlacedToken): Token {
    return { id, text: this.textOf(id), start, end, isSpecial: this.isSpecial(id) };
  }

  /** Ids as they are, special ones as control; the text is what they spell, special tokens by name. */
  #describeIds(ids: readonly number[]): EncodedPrompt {
    const stream = new ByteReader();
    const starts: number[] = [];
    const ends: number[] = [];
    for (const [index, id] of ids.entries()) {
      const special = this.#tokenizer.specials.get(id);
      const bytes = special ? utf8Bytes.encode(special.content) : this.#tokenizer.bytes[id];
      if (!bytes) throw new AppError('bad-input', `The model has no token with the number ${id}.`);
      if (special) stream.end(); // no character goes on across a special token
      starts.push(stream.text.length);
      for (const byte of bytes) {
        stream.push(byte);
        // Tokens that ended inside this character end with it.
        if (!stream.isInside) while (ends.length < index) ends.push(stream.text.length);
      }
      if (!stream.isInside) while (ends.length <= index) ends.push(stream.text.length);
    }
    stream.end();
    while (ends.length < ids.length) ends.push(stream.text.length);
    return {
      text: stream.text,
      tokens: ids.map((id, i) => this.#toToken({ id, start: starts[i] ?? 0, end: ends[i] ?? 0 })),
      neutralised: [],
    };
  }
}

/** Decodes byte by byte and knows whether it is inside a character. */
class ByteReader {
  text = '';
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #missing = 0;

  get isInside(): boolean {
    return this.#missing > 0;
  }

  push(byte: number): void {
    const isContinuation = (byte & 0xc0) === 0x80;
    if (isContinuation) this.#missing = Math.max(0, this.#missing - 1);
    else this.#missing = byte < 0xc2 || byte > 0xf4 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    this.text += this.#decoder.decode(Uint8Array.of(byte), { stream: true });
  }

  end(): void {
    this.text += this.#decoder.decode();
    this.#missing = 0;
  }
}
