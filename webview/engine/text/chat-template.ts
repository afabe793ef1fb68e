/** Turns messages into the one text that a chat model was trained on, with the model's own Jinja template. */
import { Template } from '@huggingface/jinja';
import { AppError } from '../../../src/shared/app-error.ts';
import type { ChatMessage } from '../../../src/shared/engine-contract.ts';
import type { TokenizerConfig } from './tokenizer-json.ts';

const specialNames = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
] as const;

export class ChatTemplate {
  readonly #template: Template;
  readonly #specials: Record<string, string>;

  /** `source` is the text of `chat_template.jinja`, which goes before the template of the configuration. */
  static read(config: TokenizerConfig, source: string | undefined): ChatTemplate | undefined {
    const { chat_template: inConfig } = config;
    const named = Array.isArray(inConfig)
      ? (inConfig.find(({ name }) => name === 'default') ?? inConfig[0])?.template
      : inConfig;
    const text = source ?? named;
    return text ? new ChatTemplate(text, config) : undefined;
  }

  private constructor(source: string, config: TokenizerConfig) {
    try {
      this.#template = new Template(source);
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new AppError('model-damaged', `The chat template of the model cannot be read: ${detail}`, { cause });
    }
    this.#specials = {};
    for (const name of specialNames) {
      const value = config[name];
      if (value) this.#specials[name] = typeof value === 'string' ? value : value.content;
    }
  }

  /** @throws AppError `bad-input` with the template's own words when it does not take such messages. */
  render(messages: readonly ChatMessage[], options: { addGenerationPrompt: boolean }): string {
    try {
      return this.#template.render({
        messages: messages.map((message) => ({ ...message })),
        add_generation_prompt: options.addGenerationPrompt,
        tools: null,
        documents: null,
        ...this.#specials,
      });
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new AppError('bad-input', `The model's chat template does not take these messages: ${detail}`, { cause });
    }
  }
}
