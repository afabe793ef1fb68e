/** Which files of a folder are loaded, and what is said of a folder that is no model. */
import { describe, expect, test } from 'vitest';
import { chooseFiles } from '../../../src/models/folder-files.ts';
import { modelNameOf, parseModelSetting } from '../../../src/models/model-setting.ts';

const asFiles = (paths: readonly string[]) => paths.map((path) => ({ path, sizeBytes: 1 }));
const base = ['config.json', 'tokenizer.json'];

describe('of a model folder', () => {
  test.each([
    { paths: ['model.onnx'], chosen: ['model.onnx'] },
    { paths: ['onnx/model.onnx', 'onnx/model_q4.onnx'], chosen: ['onnx/model_q4.onnx'] },
    { paths: ['onnx/model_fp16.onnx', 'onnx/model.onnx'], chosen: ['onnx/model_fp16.onnx'] },
    {
      paths: ['onnx/model_q4.onnx', 'onnx/model_q4.onnx_data', 'onnx/model_q4.onnx_data_1', 'onnx/model.onnx_data'],
      chosen: ['onnx/model_q4.onnx', 'onnx/model_q4.onnx_data', 'onnx/model_q4.onnx_data_1'],
    },
    { paths: ['mine.onnx', 'mine.onnx.data', 'other.bin', 'notes.md'], chosen: ['mine.onnx', 'mine.onnx.data'] },
    {
      paths: ['model.onnx', 'model.data', 'chat_template.jinja'],
      chosen: ['model.onnx', 'model.data', 'chat_template.jinja'],
    },
  ])('$paths: $chosen', ({ paths, chosen }) => {
    const result = chooseFiles(asFiles([...base, ...paths]));
    expect('files' in result && result.files.map(({ path }) => path).toSorted()).toEqual(
      [...base, ...chosen].toSorted(),
    );
  });

  test.each([
    { paths: [], missing: ['config.json', 'tokenizer.json', '.onnx file'] },
    { paths: ['model.onnx', 'config.json'], missing: ['tokenizer.json'] },
    { paths: [...base, 'model.safetensors'], missing: ['.onnx file'] },
    { paths: ['onnx/config.json', 'tokenizer.json', 'model.onnx'], missing: ['config.json'] },
  ])('$paths: lacks $missing', ({ paths, missing }) => {
    expect(chooseFiles(asFiles(paths))).toEqual({ missing });
  });
});

test.each([
  ['SmolLM2-135M-Instruct', { kind: 'bundled', id: 'SmolLM2-135M-Instruct' }],
  ['  SmolLM2-135M-Instruct ', { kind: 'bundled', id: 'SmolLM2-135M-Instruct' }],
  ['/home/me/models/tiny', { kind: 'path', path: '/home/me/models/tiny' }],
  ['C:\\models\\tiny', { kind: 'path', path: 'C:\\models\\tiny' }],
  ['d:/models', { kind: 'path', path: 'd:/models' }],
  ['\\\\server\\share\\tiny', { kind: 'path', path: '\\\\server\\share\\tiny' }],
  ['vscode-vfs://github/me/tiny', { kind: 'uri', uri: 'vscode-vfs://github/me/tiny' }],
  ['', { kind: 'bundled', id: '' }],
])('the setting %j', (setting, parsed) => {
  expect(parseModelSetting(setting)).toEqual(parsed);
});

test('a folder names its model', () => {
  expect(modelNameOf('/models/Tiny 1B/')).toBe('Tiny 1B');
  expect(modelNameOf('/')).toBe('model');
});
