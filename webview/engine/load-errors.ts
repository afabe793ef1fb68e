/** Errors of a load, with the name of the model file that they are about: the user has to know which one to replace. */
import { AppError, toAppError } from '../../src/shared/app-error.ts';

/** ONNX Runtime's words for weights beside the graph that are missing or too short. */
const externalDataFault = /external data file\s*[\\"']*([^\\"',]+)/i;

export function nameDamagedFile(thrown: unknown, graphPath: string): AppError {
  const error = toAppError(thrown);
  const folder = graphPath.slice(0, graphPath.lastIndexOf('/') + 1);
  const weights = error.code === 'engine-failed' ? externalDataFault.exec(error.message)?.[1] : undefined;
  if (weights)
    return new AppError(
      'model-damaged',
      `The model file ${folder}${weights.trim()} is missing, truncated or altered. Copy it again, and reload the model.`,
      { cause: error },
    );
  if (error.code !== 'model-damaged' || error.message.includes(folder || graphPath)) return error;
  if (error.message.includes('config.json')) return error;
  return new AppError('model-damaged', `The model file ${graphPath} is damaged. ${error.message}`, { cause: error });
}
