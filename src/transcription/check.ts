import { AsrproError } from '../errors.ts';
import { isLanguageCode } from '../models/languages.ts';
import type { Model } from '../models/model.ts';
import type { TranscriptionRequest } from './types.ts';

/**
 * Refuses options that the model does not support. The advisory ones (prompt, temperature, hotwords) are ignored instead,
 * because clients send them to every server. Throws `unsupported_value`, `invalid_language_format`, `unsupported_language`.
 */
export function checkRequest(request: TranscriptionRequest, model: Model): void {
  const { capabilities } = model;
  if (!capabilities.tasks.includes(request.task)) {
    throw new AsrproError('unsupported_value', `The model '${model.id}' cannot translate.`, {
      param: 'model',
      hint: 'Choose Canary, or a multilingual Whisper model that is neither turbo nor distilled.',
    });
  }
  if (request.wordTimestamps && !capabilities.wordTimestamps) {
    throw new AsrproError('unsupported_value', `The model '${model.id}' has no word timestamps; ask for 'segment'.`, {
      param: 'timestamp_granularities',
    });
  }
  if (request.logprobs && !capabilities.logprobs) {
    throw new AsrproError('unsupported_value', `The model '${model.id}' has no log-probabilities.`, {
      param: 'include',
    });
  }
  if (request.language !== null) checkLanguage(request.language, model);
}

/**
 * Drops those of the request's `languages` that the model does not know. If one is left, it becomes `language`; an explicit
 * `language` overrides them all. Throws `unsupported_language` if the model knows none of them.
 */
export function narrowed(request: TranscriptionRequest, model: Model): TranscriptionRequest {
  const requested = request.language === null ? [...new Set(request.languages ?? [])] : [];
  const known = requested.filter((code) => model.languages === null || model.languages.includes(code));
  if (requested.length > 0 && known.length === 0) {
    throw new AsrproError(
      'unsupported_language',
      `The model '${model.id}' knows none of the languages ${requested.map((code) => `'${code}'`).join(', ')}.`,
      { param: 'languages', hint: 'GET /v1/models lists the languages of each model.' },
    );
  }
  return known.length === 1 ? { ...request, language: known[0]!, languages: [] } : { ...request, languages: known };
}

function checkLanguage(language: string, model: Model): void {
  if (!isLanguageCode(language)) {
    throw new AsrproError(
      'invalid_language_format',
      `Invalid language '${language}'. Language parameter must be specified in ISO-639-1 format.`,
      { param: 'language' },
    );
  }
  if (model.languages !== null && !model.languages.includes(language)) {
    throw new AsrproError('unsupported_language', `The model '${model.id}' does not know the language '${language}'.`, {
      param: 'language',
      hint: 'GET /v1/models lists the languages of each model.',
    });
  }
}
