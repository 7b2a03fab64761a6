import { z } from 'zod';
import { AsrproError } from '../errors.ts';
import { type LanguageCode, languageCode, languageSpellings } from '../models/languages.ts';
import type { AnswerWish, TranscriptionRequest } from '../transcription/types.ts';
import { type FieldKind, formValues } from './form-fields.ts';
import { mistakeOf } from './mistake.ts';
import { baseName, type Upload } from './upload.ts';

const formats = ['json', 'text', 'verbose_json'] as const satisfies AnswerWish['format'][];
/** OpenAI has these; here subtitles are not made and speakers not told apart. */
const refusedFormats = ['srt', 'vtt', 'diarized_json'];
const granularities = ['segment', 'word'] as const;

/** More would slow every step of a decoder down, and draw it away from what was said. */
const KEYWORDS = { most: 64, longest: 64 };

const oneOf = (values: readonly string[]): string => `choose ${values.map((value) => `'${value}'`).join(' or ')}`;

const file = z
  .file()
  .describe('Sound or video in one of the kinds that docs/openai.md lists. Its name and content type do not matter.');
const model = z
  .string()
  .optional()
  .describe('Id, alias or hub name. Left out: the loaded model, else the configured default.');
const prompt = z
  .string()
  .optional()
  .describe('Text that came before, in the language of the audio; a style to follow.');
const temperature = z
  .number({ error: 'a number from 0 to 1 is expected' })
  .min(0, 'the least is 0')
  .max(1, 'the most is 1')
  .optional()
  .describe('0 or absent: start at 0 and raise it where decoding fails.');
const responseFormat = z.enum(formats, { error: oneOf(formats) }).default('json');

/** For a description that is true to what is accepted: JSON Schema has no flag for it. */
function inAnyCase(words: readonly string[]): RegExp {
  const spelled = words.map((word) => word.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`));
  return new RegExp(`^(${spelled.join('|')})$`);
}

const spelledLanguages = [...languageSpellings, 'auto'];
const anyLanguage = z.union([z.enum(spelledLanguages), z.string().regex(inAnyCase(spelledLanguages))]);

const language = anyLanguage
  .optional()
  .describe(
    'ISO-639-1 code of the speech, in any case: `en`, `EN`. Absent or `auto`: detected. Other editions of a code mean the same: `jv` is `jw`, `nb` is `no`, `iw` is `he`.',
  );

/** Fields of `POST /v1/audio/translations`: OpenAI's, and the language for models that do not detect it. */
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
    .describe('The speech is in one of these languages: they narrow the choice where `language` names none.'),
  keywords: z
    .array(z.string())
    .optional()
    .describe(
      `Words and names to listen for: the first ${KEYWORDS.most}, of up to ${KEYWORDS.longest} characters each; the rest is ignored, as are all by models that cannot.`,
    ),
  include: z
    .array(z.enum(['logprobs'], { error: oneOf(['logprobs']) }))
    .optional()
    .describe('`logprobs` adds log-probabilities of tokens, with response_format json.'),
  timestamp_granularities: z
    .array(z.enum(granularities, { error: oneOf(granularities) }))
    .optional()
    .describe('With verbose_json: which times to give; segment when absent.'),
  stream: z
    .boolean({ error: oneOf(['true', 'false']) })
    .optional()
    .describe('Send the text as server-sent events while it is decoded.'),
});

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

export interface AudioOrder {
  request: Omit<TranscriptionRequest, 'audioPath'>;
  answer: AnswerWish;
}

/** Checks the form of a transcription. Every mistake is an AsrproError with the field in `param`. */
export function transcriptionOrder(upload: Upload): AudioOrder {
  const values = formValues(upload.fields, transcriptionKinds);
  checkFormat(values.response_format, refusedFormats);
  if (values.language !== undefined) values.language = knownLanguage('language', String(values.language));
  if (values.languages !== undefined) {
    values.languages = (values.languages as string[]).map((text) => knownLanguage('languages', text));
  }
  const form = validated(transcriptionForm, upload, values);
  const format = form.response_format;
  const stream = form.stream === true;
  const words = form.timestamp_granularities?.includes('word') === true;
  const logprobs = form.include?.includes('logprobs') === true;
  if (stream && format === 'verbose_json') {
    throw unsupported('response_format', "With 'stream' the response_format is 'json' or 'text'.");
  }
  if (words && format !== 'verbose_json') {
    throw unsupported('timestamp_granularities', "Word timestamps need the response_format 'verbose_json'.");
  }
  if (logprobs && format !== 'json') throw unsupported('include', "'logprobs' needs the response_format 'json'.");
  return {
    request: {
      model: form.model ?? null,
      task: 'transcribe',
      language: spoken(form.language),
      prompt: form.prompt ?? null,
      temperature: form.temperature ?? null,
      languages: form.languages === undefined || form.languages.includes('auto') ? [] : form.languages,
      hotwords: keywords(form.keywords ?? []),
      wordTimestamps: words,
      segmentTimestamps: format === 'verbose_json',
      logprobs,
      stream,
    },
    answer: {
      format,
      segments: !words || form.timestamp_granularities?.includes('segment') === true,
      words,
      logprobs,
      stream,
    },
  };
}

/** The same for a translation, whose form has fewer fields. */
export function translationOrder(upload: Upload): AudioOrder {
  const values = formValues(upload.fields, kinds);
  checkFormat(values.response_format, ['srt', 'vtt']);
  if (values.language !== undefined) values.language = knownLanguage('language', String(values.language));
  const form = validated(translationForm, upload, values);
  return {
    request: {
      model: form.model ?? null,
      task: 'translate',
      language: spoken(form.language),
      prompt: form.prompt ?? null,
      temperature: form.temperature ?? null,
      hotwords: [],
      wordTimestamps: false,
      segmentTimestamps: form.response_format === 'verbose_json',
      logprobs: false,
      stream: false,
    },
    answer: { format: form.response_format, segments: true, words: false, logprobs: false, stream: false },
  };
}

function validated<T extends typeof translationForm>(
  schema: T,
  upload: Upload,
  values: Record<string, unknown>,
): Omit<z.output<T>, 'file'> {
  const wrong = upload.otherFiles.map(baseName).find((name) => name !== 'file' && name in schema.shape);
  if (wrong !== undefined) {
    throw new AsrproError('invalid_type', `'${wrong}' is sent as a file, but it is text.`, { param: wrong });
  }
  const parsed = schema.omit({ file: true }).safeParse(values, { reportInput: true });
  if (!parsed.success) throw mistakeOf(parsed.error);
  checkFile(upload);
  return parsed.data as Omit<z.output<T>, 'file'>;
}

function checkFile({ file: received, fields }: Upload): void {
  if (received === null) {
    if (fields.some(({ name }) => baseName(name) === 'file')) {
      throw new AsrproError('invalid_type', "'file' is sent as text; send it as a file, with a file name.", {
        param: 'file',
      });
    }
    throw new AsrproError('missing_required_parameter', "Missing required parameter: 'file'.", { param: 'file' });
  }
  if (received.size === 0) {
    throw new AsrproError(
      'invalid_file_format',
      "Invalid file format. Supported formats: ['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']. The file is empty.",
      { param: 'file' },
    );
  }
}

function checkFormat(value: unknown, refused: readonly string[]): void {
  if (typeof value !== 'string' || !refused.includes(value.toLowerCase())) return;
  throw unsupported('response_format', `This response_format is not supported: ${oneOf(formats)}.`);
}

function spoken(language: string | undefined): string | null {
  return language === undefined || language === 'auto' ? null : language;
}

/** A hint fails no request: what is too much is left out. */
function keywords(given: readonly string[]): string[] {
  return given.filter((one) => [...one].length <= KEYWORDS.longest).slice(0, KEYWORDS.most);
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
