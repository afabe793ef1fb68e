/** Errors of a load name the file they are about. */
import { expect, test } from 'vitest';
import { AppError } from '../../src/shared/app-error.ts';
import { nameDamagedFile } from '../../webview/engine/load-errors.ts';

const graph = 'onnx/model_q4.onnx';

test.each([
  [
    new Error('ERROR_MESSAGE: Failed to load external data file ""model_q4.onnx_data"", error: Out of bounds.'),
    'model-damaged',
    'The model file onnx/model_q4.onnx_data is missing, truncated or altered.',
  ],
  [
    new AppError('model-damaged', 'The model graph has no operators.'),
    'model-damaged',
    'The model file onnx/model_q4.onnx is damaged. The model graph has no operators.',
  ],
  [
    new AppError('model-damaged', 'config.json of the model does not tell num_hidden_layers.'),
    'model-damaged',
    'config.json of the model does not tell num_hidden_layers.',
  ],
  [new Error('out of bounds'), 'engine-failed', 'out of bounds'],
  [new AppError('cancelled', 'Cancelled.'), 'cancelled', 'Cancelled.'],
])('%s', (thrown, code, message) => {
  const error = nameDamagedFile(thrown, graph);
  expect(error.code).toBe(code);
  expect(error.message).toContain(message);
});
