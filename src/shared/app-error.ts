/** The one error type that crosses every border of Glasshead, and its form on the wire. */
import * as v from 'valibot';

const errorCodes = [
  'bad-input', // what the user gave cannot be used as it is
  'cancelled', // an AbortSignal fired; never shown to the user
  'context-overflow', // the prompt is longer than the model's context
  'engine-died', // the worker or its page went away in the middle of something
  'engine-failed', // the runtime refused or threw
  'model-damaged', // a model file is missing, truncated or altered
  'model-unsupported', // the files are fine, but this model cannot be run or tapped
  'no-model', // nothing is loaded and nothing can be
  'out-of-memory', // a cache or a tensor does not fit the limit
  'protocol', // a message that the contract does not know
  'unsupported-platform', // no WebAssembly SIMD, say
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** An error with a code to act on and a sentence with a remedy to show. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export const wireErrorSchema = v.object({ code: v.picklist(errorCodes), message: v.string() });
type WireError = v.InferOutput<typeof wireErrorSchema>;

/** Anything thrown, as an AppError; `code` is used for what is not one already. */
export function toAppError(thrown: unknown, code: ErrorCode = 'engine-failed'): AppError {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof Error && thrown.name === 'AbortError') return cancelled();
  const message =
    thrown instanceof Error ? thrown.message : typeof thrown === 'string' ? thrown : `Thrown: ${typeof thrown}.`;
  return new AppError(code, message, { cause: thrown });
}

export function toWireError(thrown: unknown): WireError {
  const { code, message } = toAppError(thrown);
  return { code, message };
}

export function fromWireError({ code, message }: WireError): AppError {
  return new AppError(code, message);
}

export function cancelled(): AppError {
  return new AppError('cancelled', 'Cancelled.');
}

export function isCancelled(thrown: unknown): boolean {
  return toAppError(thrown).code === 'cancelled';
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled();
}
