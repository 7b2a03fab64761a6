import type { Segment, TranscribeMessage } from '../wire/messages.ts';
import type { MockAudio } from './audio.ts';

/** Sentences that repeat the request's parameters, so that a test can check that they arrived. */
export function sentences(message: TranscribeMessage, audio: MockAudio, slow: boolean): string[] {
  if (audio.silent) return [];
  const lines = [
    `This is a mock transcript of ${audio.duration.toFixed(1)} seconds of audio.`,
    `The task is ${message.task}.`,
    ...(message.language === null ? [] : [`The language is ${message.language}.`]),
    ...(message.languages?.length ? [`The languages are ${message.languages.join(' ')}.`] : []),
    ...(message.prompt === null ? [] : [`The prompt is ${message.prompt}.`]),
    ...(message.temperature === null ? [] : [`The temperature is ${message.temperature}.`]),
    ...(message.hotwords.length === 0 ? [] : [`The keywords are ${message.hotwords.join(' ')}.`]),
  ];
  while (slow && lines.length < 10) lines.push(`This is sentence ${lines.length + 1}.`);
  return lines;
}

/** One segment for each sentence, spread evenly over the audio. */
export function segmentOf(
  text: string,
  id: number,
  count: number,
  message: TranscribeMessage,
  audio: MockAudio,
): Segment {
  const length = audio.duration / count;
  const [start, end] = [id * length, (id + 1) * length];
  const words = text.split(' ');
  const step = length / words.length;
  return {
    id,
    seek: Math.round(start * 100),
    start,
    end,
    text: ` ${text}`,
    tokens: words.map((_, index) => 50364 + index),
    temperature: message.temperature ?? 0,
    avg_logprob: -0.25,
    compression_ratio: 1.25,
    no_speech_prob: 0.01,
    words: message.word_timestamps
      ? words.map((word, index) => ({
          word,
          start: start + index * step,
          end: start + (index + 1) * step,
          probability: 1,
        }))
      : null,
    logprobs: message.logprobs
      ? words.map((word) => ({ token: ` ${word}`, logprob: -0.25, bytes: [...Buffer.from(` ${word}`)] }))
      : null,
  };
}
