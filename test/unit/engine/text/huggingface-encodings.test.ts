/** Ids and offsets are those of Hugging Face's own tokenizers (test/fixtures/text/make.py), for 300 texts. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ModelTokenizer } from '../../../../webview/engine/text/model-tokenizer.ts';
import { parseTokenizerConfig, parseTokenizerJson } from '../../../../webview/engine/text/tokenizer-json.ts';
import { readModelJson } from '../../support/bundled-model.ts';

interface Case {
  readonly text: string;
  readonly ids: number[];
  /** start, end, start, end ... in UTF-16 code units. */
  readonly offsets: number[];
}

const fixture = new URL('../../../fixtures/text/encodings.json', import.meta.url);
const { plain, control } = JSON.parse(readFileSync(fixture, 'utf8')) as {
  plain: Record<string, Case[]>;
  control: Case[];
};

function open(model: string): ModelTokenizer {
  const json = parseTokenizerJson(readModelJson(model, 'tokenizer.json'));
  return new ModelTokenizer(json, parseTokenizerConfig(readModelJson(model, 'tokenizer_config.json')));
}

function encode(tokenizer: ModelTokenizer, text: string) {
  const tokens = tokenizer.encode(text);
  return { text, ids: tokens.map(({ id }) => id), offsets: tokens.flatMap(({ start, end }) => [start, end]) };
}

test('encodes 300 texts as Hugging Face does, with the same offsets', () => {
  const tokenizer = open('SmolLM2-135M-Instruct');
  const cases = plain['SmolLM2-135M-Instruct'] ?? [];
  expect(cases.length).toBeGreaterThan(300);
  for (const expected of cases) expect(encode(tokenizer, expected.text)).toEqual(expected);
});

test('a tokenizer that changes the text first gets spans that hold those of Hugging Face', () => {
  const tokenizer = open('all-MiniLM-L6-v2');
  // The library takes ideographs beyond U+FFFF for letters.
  const cases = (plain['all-MiniLM-L6-v2'] ?? []).filter(({ text }) => !/[\u{20000}-\u{2ffff}]/u.test(text));
  expect(cases.length).toBeGreaterThan(300);
  const strays = cases.filter((expected) => {
    const { ids, offsets } = encode(tokenizer, expected.text);
    expect(ids).toEqual(expected.ids);
    return offsets.some((own, i) => (i % 2 === 0 ? own > expected.offsets[i]! : own < expected.offsets[i]!));
  });
  // Several unknown words in a row, run together, share what is theirs.
  expect(strays.length).toBeLessThanOrEqual(3);
});

test('takes special tokens of a template for control, where Hugging Face does', () => {
  const tokenizer = open('SmolLM2-135M-Instruct');
  for (const expected of control) expect(encode(tokenizer, expected.text)).toEqual(expected);
});
