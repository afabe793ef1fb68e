/** Makes a model folder as on the hub out of a fixture: its graphs in `onnx/`, and the files that fixtures lack. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const fixtures = 'test/fixtures/attention';

interface Config {
  readonly model_type: string;
  readonly vocab_size?: number;
  readonly eos_token_id?: number | null;
  readonly decoder_start_token_id?: number;
  readonly pad_token_id?: number;
  readonly image_size?: number;
}

/** Words of the tokenizers below, each one token: the model has no others. */
const words = 'the a cat dog sat ran on under mat tree and then saw it was big red old house bird'.split(' ');

/** Returns the folder; `leaveOut` names files that are not written. */
export function createHubFolder(fixture: string, leaveOut: readonly string[] = []): string {
  const folder = mkdtempSync(path.join(tmpdir(), `glasshead-${fixture}-`));
  const from = path.join(fixtures, fixture);
  mkdirSync(path.join(folder, 'onnx'));
  for (const name of readdirSync(from))
    if (name.endsWith('.onnx')) cpSync(path.join(from, name), path.join(folder, 'onnx', name));
  const config = JSON.parse(readFileSync(path.join(from, 'config.json'), 'utf8')) as Config;
  const written = {
    'config.json': config,
    ...(config.image_size ? pictureFiles(config.image_size) : textFiles(config)),
  };
  for (const [name, content] of Object.entries(written))
    if (!leaveOut.includes(name)) writeFileSync(path.join(folder, name), JSON.stringify(content));
  return folder;
}

function pictureFiles(side: number): Record<string, unknown> {
  return {
    'preprocessor_config.json': {
      image_processor_type: 'ViTImageProcessor',
      do_resize: true,
      size: { height: side, width: side },
      resample: 2,
      do_rescale: true,
      rescale_factor: 1 / 255,
      do_normalize: true,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
    },
  };
}

/** WordPiece between [CLS] and [SEP] for BERT; Unigram with `</s>` behind, as T5 and Marian have it, for all others. */
function textFiles(config: Config): Record<string, unknown> {
  const isBert = /bert/.test(config.model_type);
  const { vocab_size: size = 64 } = config;
  const specials: Record<number, string> = isBert
    ? { 0: '[PAD]', 1: '[UNK]', 2: '[CLS]', 3: '[SEP]' }
    : { 0: '<pad>', [config.eos_token_id ?? 1]: '</s>', 3: '<unk>' };
  const free = Array.from({ length: size }, (_, id) => id).filter((id) => specials[id] === undefined);
  const spelled = (index: number) => words[index] ?? `w${index}`;
  const names = Array.from({ length: size }, (_, id) => {
    const index = free.indexOf(id);
    return index < 0 ? (specials[id] ?? '') : isBert ? spelled(index) : `▁${spelled(index)}`;
  });
  const added = Object.entries(specials).map(([id, content]) => ({ ...plainToken, id: Number(id), content }));
  const template = (before: string[], after: string[]) => ({
    type: 'TemplateProcessing',
    single: [...before.map(asSpecial), { Sequence: { id: 'A', type_id: 0 } }, ...after.map(asSpecial)],
    pair: [],
    special_tokens: Object.fromEntries(
      [...before, ...after].map((name) => [name, { id: name, ids: [names.indexOf(name)], tokens: [name] }]),
    ),
  });
  const bert = {
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: template(['[CLS]'], ['[SEP]']),
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(names.map((name, id) => [name, id])),
    },
  };
  const unigram = {
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    post_processor: template([], ['</s>']),
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: { type: 'Unigram', unk_id: 3, vocab: names.map((name) => [name, -1]), byte_fallback: false },
  };
  return {
    'tokenizer.json': { version: '1.0', added_tokens: added, ...(isBert ? bert : unigram) },
    'tokenizer_config.json': isBert
      ? { tokenizer_class: 'BertTokenizer', unk_token: '[UNK]', do_lower_case: true }
      : { tokenizer_class: 'PreTrainedTokenizerFast', eos_token: '</s>', unk_token: '<unk>', pad_token: '<pad>' },
  };
}

const plainToken = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };

function asSpecial(name: string) {
  return { SpecialToken: { id: name, type_id: 0 } };
}
