import type { JobResult, Segment, TokenLogprob, Word } from '../wire/messages.ts';

export type { JobResult, Segment, TokenLogprob, Word };

/** What a caller wants done with one audio file. No HTTP words in it: the command line uses the same. */
export interface TranscriptionRequest {
  /** Id, alias or hub name as the caller wrote it; null: the selected model, else the default, as it is when the job starts. */
  model: string | null;
  /** Absolute path of a private file that nobody else writes. The caller removes it afterwards. */
  audioPath: string;
  task: 'transcribe' | 'translate';
  /** ISO-639-1, lower case; null: detect. */
  language: string | null;
  /** The same codes: the speech is in one of these, where `language` is null; left out or empty: in any. */
  languages?: readonly string[];
  prompt: string | null;
  /** 0 to 1; null or 0: the engine's own ladder. */
  temperature: number | null;
  hotwords: string[];
  wordTimestamps: boolean;
  /** Whether anybody reads the times of segments; left out: yes. The text is the same. */
  segmentTimestamps?: boolean;
  logprobs: boolean;
  /**
   * The caller sends segments on as they come. Otherwise they are held until the job is done, so that a job whose worker
   * dies half-way can be run once more without anybody noticing.
   */
  stream: boolean;
}

/** What the answer is to look like. */
export interface AnswerWish {
  format: 'json' | 'text' | 'verbose_json';
  segments: boolean;
  words: boolean;
  logprobs: boolean;
  stream: boolean;
}

/** A job that was accepted, decoded and begun. Errors after this point come out of `segments`. */
export interface TranscriptionRun {
  /** Id of the model that answers. */
  readonly model: string;
  /** In order, as the engine makes them. Ends after the last; throws AsrproError. Iterate once. */
  readonly segments: AsyncIterable<Segment>;
  /** Settles when `segments` has ended; rejects with the error that `segments` threw. */
  readonly result: Promise<JobResult>;
}

/** A finished transcript. `text` is the segments' text joined and trimmed; "" for silence. */
export interface Transcript {
  model: string;
  task: 'transcribe' | 'translate';
  text: string;
  /** ISO-639-1; null where the engine does not say and the caller did not. */
  language: string | null;
  /** Seconds. */
  duration: number;
  segments: Segment[];
}

/**
 * A place in the queue, taken before the upload is read so that a full queue costs no upload. `release` gives it back
 * and may be called again.
 */
export interface Admission {
  /**
   * Checks the request against the model, waits for its turn and for the model, and starts the job.
   * Resolves when the audio was opened and the engine has begun. `signal` cancels at any point, also while iterating.
   * Throws AsrproError.
   */
  start(request: TranscriptionRequest, signal: AbortSignal): Promise<TranscriptionRun>;
  release(): void;
}

export interface TranscriptionService {
  /** Throws `queue_full` or `shutting_down`. */
  admit(): Admission;
}
