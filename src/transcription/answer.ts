import { z } from 'zod';
import { languageName } from '../models/languages.ts';
import type { JobResult, ResponseOptions, Segment, Transcript, TranscriptionRun } from './types.ts';

/** Duration of the decoded audio, which is what OpenAI bills. */
export const usageSchema = z.object({ type: z.literal('duration'), seconds: z.int().describe('Rounded up.') });
const logprob = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) });
const segment = z
  .object({
    id: z.int(),
    seek: z.int().describe('Start of the decoded window, in frames of 10 ms.'),
    start: z.number().describe('Seconds.'),
    end: z.number().describe('Seconds.'),
    text: z.string(),
    tokens: z.array(z.int()),
    temperature: z.number(),
    avg_logprob: z.number(),
    compression_ratio: z.number(),
    no_speech_prob: z.number(),
  })
  .meta({ id: 'Segment', description: 'A number that the engine does not provide is 0 (docs/openai.md).' });
const word = z.object({ word: z.string(), start: z.number(), end: z.number() }).meta({ id: 'Word' });

/** `response_format=json` of a transcription. */
export const plainTranscript = z
  .object({ text: z.string(), logprobs: z.array(logprob).optional(), usage: usageSchema })
  .meta({ id: 'Transcript' });
/** `response_format=json` of a translation; OpenAI's has no usage. */
export const plainTranslation = z.object({ text: z.string() }).meta({ id: 'Translation' });
/** `response_format=verbose_json`. */
export const verboseTranscript = z
  .object({
    task: z.enum(['transcribe', 'translate']),
    language: z.string().describe('Lower-case English name; `unknown` if neither the request nor the model gives it.'),
    duration: z.number().describe('Seconds.'),
    text: z.string(),
    words: z.array(word).optional(),
    segments: z.array(segment).optional(),
    usage: usageSchema.optional(),
  })
  .meta({ id: 'VerboseTranscript' });

/** Waits for the whole transcript. Throws what the job throws. */
export async function collect(run: TranscriptionRun, task: Transcript['task']): Promise<Transcript> {
  const segments: Segment[] = [];
  for await (const one of run.segments) segments.push(one);
  const { language, duration } = await run.result;
  const text = segments
    .map((one) => one.text)
    .join('')
    .trim();
  return { model: run.model, task, text, language, duration, segments };
}

export function usage({ duration }: Pick<JobResult, 'duration'>): z.infer<typeof usageSchema> {
  return { type: 'duration', seconds: Math.ceil(duration) };
}

export function translated({ text }: Transcript): z.input<typeof plainTranslation> {
  return { text };
}

export function plain(
  transcript: Transcript,
  options: Pick<ResponseOptions, 'logprobs'>,
): z.input<typeof plainTranscript> {
  const { text } = transcript;
  const logprobs = options.logprobs ? { logprobs: transcript.segments.flatMap((one) => one.logprobs ?? []) } : {};
  return { text, ...logprobs, usage: usage(transcript) };
}

/** Keys that were not requested are left out: null or an empty list instead has broken clients. */
export function verbose(
  transcript: Transcript,
  options: Pick<ResponseOptions, 'words' | 'segments'>,
): z.input<typeof verboseTranscript> {
  const { task, text, duration, segments } = transcript;
  const language = task === 'translate' ? 'english' : languageName(transcript.language ?? '');
  return {
    task,
    language: language ?? 'unknown',
    duration,
    text,
    ...(options.words ? { words: segments.flatMap(wordsOf) } : {}),
    ...(options.segments ? { segments: segments.map(segmentOf) } : {}),
    ...(task === 'transcribe' ? { usage: usage(transcript) } : {}),
  };
}

function wordsOf(from: Segment): z.input<typeof word>[] {
  return (from.words ?? []).map(({ word: text, start, end }) => ({ word: text.trim(), start, end }));
}

function segmentOf({ words: _words, logprobs: _logprobs, ...fields }: Segment): z.input<typeof segment> {
  return fields;
}
