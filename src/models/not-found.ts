import { AsrproError } from '../errors.ts';

/** `model_not_found` for a name that a client sent; only its first 100 characters are repeated. */
export function modelNotFound(name: string, { problem = 'does not exist', param = 'model' } = {}): AsrproError {
  return new AsrproError('model_not_found', `The model '${name.slice(0, 100)}' ${problem}.`, {
    param,
    hint: 'GET /v1/models lists all models.',
  });
}
