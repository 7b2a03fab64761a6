import { z } from 'zod';
import { languageName } from '../models/languages.ts';
import type { AnswerWish, JobResult, Segment, Transcript, TranscriptionRun } from './types.ts';

/** Length of the decoded audio, as OpenAI bills it. */
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
  .meta({ id: 'Segment', description: 'Numbers that an engine does not have are 0 (docs/openai.md).' });
const word = z.object({ word: z.string(), start: z.number(), end: z.number() }).meta({ id: 'Word' });

/** `response_format=json` of a transcription. */
export const plainTranscript = z
  .object({ text: z.string(), logprobs: z.array(logprob).optional(), usage: usageSchema })
  .meta({ id: 'Transcript' });
/** `response_format=json` of a translation, whose type has no usage. */
export const plainTranslation = z.object({ text: z.string() }).meta({ id: 'Translation' });
/** `response_format=verbose_json`. */
export const verboseTranscript = z
  .object({
    task: z.enum(['transcribe', 'translate']),
    language: z.string().describe('Lower-case English name; `unknown` where neither request nor model says.'),
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

export function plain(transcript: Transcript, wish: Pick<AnswerWish, 'logprobs'>): z.input<typeof plainTranscript> {
  const { text } = transcript;
  const logprobs = wish.logprobs ? { logprobs: transcript.segments.flatMap((one) => one.logprobs ?? []) } : {};
  return { text, ...logprobs, usage: usage(transcript) };
}

/** Only what was asked for: a key with null or an empty list in its place has broken clients. */
export function verbose(
  transcript: Transcript,
  wish: Pick<AnswerWish, 'words' | 'segments'>,
): z.input<typeof verboseTranscript> {
  const { task, text, duration, segments } = transcript;
  const language = task === 'translate' ? 'english' : languageName(transcript.language ?? '');
  return {
    task,
    language: language ?? 'unknown',
    duration,
    text,
    ...(wish.words ? { words: segments.flatMap(wordsOf) } : {}),
    ...(wish.segments ? { segments: segments.map(segmentOf) } : {}),
    ...(task === 'transcribe' ? { usage: usage(transcript) } : {}),
  };
}

function wordsOf(from: Segment): z.input<typeof word>[] {
  return (from.words ?? []).map(({ word: text, start, end }) => ({ word: text.trim(), start, end }));
}

function segmentOf({ words: _words, logprobs: _logprobs, ...ten }: Segment): z.input<typeof segment> {
  return ten;
}
