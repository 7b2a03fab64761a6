import { z } from 'zod';
import { AsrproError, invalidFileFormat } from '../errors.ts';
import { type LanguageCode, languageCode, languageSpellings } from '../models/languages.ts';
import type { ResponseOptions, TranscriptionRequest } from '../transcription/types.ts';
import { type FieldKind, formValues } from './form-fields.ts';
import { invalidInput } from './invalid-input.ts';
import { baseName, type Upload } from './upload.ts';

const formats = ['json', 'text', 'verbose_json'] as const satisfies ResponseOptions['format'][];
/** OpenAI's formats that asrpro does not have: it writes no subtitles and does not identify speakers. */
const unsupportedFormats = ['srt', 'vtt', 'diarized_json'];
const granularities = ['segment', 'word'] as const;

/** More or longer keywords would slow down every decoding step, and make the decoder hear them where nobody says them. */
const KEYWORDS = { maxCount: 64, maxLength: 64 };

const oneOf = (values: readonly string[]): string => `choose ${values.map((value) => `'${value}'`).join(' or ')}`;

const file = z
  .file()
  .describe('Audio or video in one of the formats in docs/openai.md. File name and content type are ignored.');
const model = z
  .string()
  .optional()
  .describe('Id, alias or hub name. Default: the selected model, else the configured default.');
const prompt = z
  .string()
  .optional()
  .describe('Text that precedes the audio, in the language of the audio, or an example of the style.');
const temperature = z
  .number({ error: 'a number from 0 to 1 is expected' })
  .min(0, 'the minimum is 0')
  .max(1, 'the maximum is 1')
  .optional()
  .describe('0 or absent: decoding starts at 0 and raises the temperature where it fails.');
const responseFormat = z.enum(formats, { error: oneOf(formats) }).default('json');

/** JSON Schema has no flag for case-insensitive patterns, and /openapi.json must describe what is accepted. */
function inAnyCase(words: readonly string[]): RegExp {
  const spelled = words.map((word) => word.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`));
  return new RegExp(`^(${spelled.join('|')})$`);
}

const languageValues = [...languageSpellings, 'auto'];
const anyLanguage = z.union([z.enum(languageValues), z.string().regex(inAnyCase(languageValues))]);

const language = anyLanguage
  .optional()
  .describe(
    'ISO-639-1 code of the spoken language, in any case: `en`, `EN`. Absent or `auto`: detected. Old and new codes are equivalent: `jv` and `jw`, `nb` and `no`, `iw` and `he`.',
  );

/** Fields of `POST /v1/audio/translations`: OpenAI's, and `language` for models that cannot detect it. */
export const translationForm = z.object({
  file,
  model,
  prompt,
  temperature,
  response_format: responseFormat,
  language,
});

/** Fields of `POST /v1/audio/transcriptions`. */
export const transcriptionForm = translationForm.extend({
  languages: z
    .array(anyLanguage)
    .optional()
    .describe('Candidate languages of the speech, used when `language` is absent.'),
  keywords: z
    .array(z.string())
    .optional()
    .describe(
      `Words and names to listen for. The first ${KEYWORDS.maxCount} with up to ${KEYWORDS.maxLength} characters count; models without keywords ignore them all.`,
    ),
  include: z
    .array(z.enum(['logprobs'], { error: oneOf(['logprobs']) }))
    .optional()
    .describe('`logprobs` adds the log-probabilities of tokens. Needs response_format json.'),
  timestamp_granularities: z
    .array(z.enum(granularities, { error: oneOf(granularities) }))
    .optional()
    .describe('Which timestamps verbose_json has; segment when absent.'),
  stream: z
    .boolean({ error: oneOf(['true', 'false']) })
    .optional()
    .describe('Send the text as server-sent events during decoding.'),
});

/** Created once, because zod compiles a new schema when it first parses: 0.19 ms of CPU time for each request. */
const transcriptionFields = transcriptionForm.omit({ file: true });
const translationFields = translationForm.omit({ file: true });

const kinds: Readonly<Record<string, FieldKind>> = {
  model: 'choice',
  prompt: 'text',
  temperature: 'number',
  response_format: 'choice',
  language: 'choice',
};
const transcriptionKinds: Readonly<Record<string, FieldKind>> = {
  ...kinds,
  languages: 'list',
  keywords: 'list',
  include: 'list',
  timestamp_granularities: 'list',
  stream: 'boolean',
};

export interface AudioForm {
  request: Omit<TranscriptionRequest, 'audioPath'>;
  response: ResponseOptions;
}

/** Validates the form of a transcription. Throws AsrproError with the invalid field in `param`. */
export function parseTranscriptionForm(upload: Upload): AudioForm {
  const values = formValues(upload.fields, transcriptionKinds);
  checkFormat(values.response_format, unsupportedFormats);
  if (values.language !== undefined) values.language = knownLanguage('language', String(values.language));
  if (values.languages !== undefined) {
    values.languages = (values.languages as string[]).map((text) => knownLanguage('languages', text));
  }
  const form = validated(transcriptionFields, upload, values);
  const format = form.response_format;
  const stream = form.stream === true;
  const words = form.timestamp_granularities?.includes('word') === true;
  const logprobs = form.include?.includes('logprobs') === true;
  if (stream && format === 'verbose_json') {
    throw unsupported('response_format', "'stream' needs the response_format 'json' or 'text'.");
  }
  if (words && format !== 'verbose_json') {
    throw unsupported('timestamp_granularities', "Word timestamps need the response_format 'verbose_json'.");
  }
  if (logprobs && format !== 'json') throw unsupported('include', "'logprobs' needs the response_format 'json'.");
  return {
    request: {
      model: form.model ?? null,
      task: 'transcribe',
      language: languageOrNull(form.language),
      prompt: form.prompt ?? null,
      temperature: form.temperature ?? null,
      languages: form.languages === undefined || form.languages.includes('auto') ? [] : form.languages,
      hotwords: keywords(form.keywords ?? []),
      wordTimestamps: words,
      segmentTimestamps: format === 'verbose_json',
      logprobs,
      stream,
    },
    response: {
      format,
      segments: !words || form.timestamp_granularities?.includes('segment') === true,
      words,
      logprobs,
      stream,
    },
  };
}

/** Validates the form of a translation. Throws AsrproError with the invalid field in `param`. */
export function parseTranslationForm(upload: Upload): AudioForm {
  const values = formValues(upload.fields, kinds);
  checkFormat(values.response_format, ['srt', 'vtt']);
  if (values.language !== undefined) values.language = knownLanguage('language', String(values.language));
  const form = validated(translationFields, upload, values);
  return {
    request: {
      model: form.model ?? null,
      task: 'translate',
      language: languageOrNull(form.language),
      prompt: form.prompt ?? null,
      temperature: form.temperature ?? null,
      hotwords: [],
      wordTimestamps: false,
      segmentTimestamps: form.response_format === 'verbose_json',
      logprobs: false,
      stream: false,
    },
    response: { format: form.response_format, segments: true, words: false, logprobs: false, stream: false },
  };
}

function validated<T extends z.ZodObject>(schema: T, upload: Upload, values: Record<string, unknown>): z.output<T> {
  const textField = upload.otherFiles.map(baseName).find((name) => Object.hasOwn(schema.shape, name));
  if (textField !== undefined) {
    throw new AsrproError('invalid_type', `'${textField}' is sent as a file; send it as text.`, { param: textField });
  }
  const parsed = schema.safeParse(values, { reportInput: true });
  if (!parsed.success) throw invalidInput(parsed.error);
  checkFile(upload);
  return parsed.data;
}

function checkFile({ file: received, fields, otherFiles }: Upload): void {
  if (received === null) {
    if (fields.some(({ name }) => baseName(name) === 'file')) {
      throw new AsrproError('invalid_type', "'file' is sent as text; send it as a file, with a file name.", {
        param: 'file',
      });
    }
    const [other] = otherFiles;
    throw new AsrproError('missing_required_parameter', "Missing required parameter: 'file'.", {
      param: 'file',
      ...(other === undefined ? {} : { hint: `A file came in the field '${other.slice(0, 50)}'; send it in 'file'.` }),
    });
  }
  if (received.size === 0) throw invalidFileFormat('The file is empty.');
}

function checkFormat(value: unknown, unsupportedValues: readonly string[]): void {
  if (typeof value !== 'string' || !unsupportedValues.includes(value.toLowerCase())) return;
  throw unsupported('response_format', `This response_format is not supported: ${oneOf(formats)}.`);
}

/** null: the model detects it. */
function languageOrNull(language: string | undefined): string | null {
  return language === undefined || language === 'auto' ? null : language;
}

/** Keywords are only a hint, so those beyond the limits are dropped instead of refused. */
function keywords(values: readonly string[]): string[] {
  return values.filter((value) => [...value].length <= KEYWORDS.maxLength).slice(0, KEYWORDS.maxCount);
}

/** The message is OpenAI's; clients match on it. */
function knownLanguage(param: string, text: string): LanguageCode | 'auto' {
  const code = text.toLowerCase() === 'auto' ? 'auto' : languageCode(text);
  if (code !== undefined) return code;
  throw new AsrproError(
    'invalid_language_format',
    `Invalid language '${text.slice(0, 50)}'. Language parameter must be specified in ISO-639-1 format.`,
    { param },
  );
}

function unsupported(param: string, message: string): AsrproError {
  return new AsrproError('unsupported_value', message, { param });
}
