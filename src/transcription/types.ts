import type { JobResult, Segment, TokenLogprob, Word } from '../wire/messages.ts';

export type { JobResult, Segment, TokenLogprob, Word };

/** A request to transcribe one audio file, from HTTP or from the command line. */
export interface TranscriptionRequest {
  /** Id, alias or hub name; null: the model that is selected when the job starts, else the default. */
  model: string | null;
  /** Absolute path of a private file. The caller removes it after the job. */
  audioPath: string;
  task: 'transcribe' | 'translate';
  /** ISO-639-1, lower case; null: detect. */
  language: string | null;
  /** Candidate languages, used if `language` is null. Absent or empty: every language. */
  languages?: readonly string[];
  prompt: string | null;
  /** 0 to 1; null or 0: the engine starts at 0 and raises it where decoding fails. */
  temperature: number | null;
  hotwords: string[];
  wordTimestamps: boolean;
  /** Whether the segments' times are used; absent: true. The text is the same. */
  segmentTimestamps?: boolean;
  logprobs: boolean;
  /**
   * Whether the caller forwards segments as they arrive. If not, they are held until the job is done, so that the job can
   * be run again when its worker dies.
   */
  stream: boolean;
}

/** The requested form of the response. */
export interface ResponseOptions {
  format: 'json' | 'text' | 'verbose_json';
  segments: boolean;
  words: boolean;
  logprobs: boolean;
  stream: boolean;
}

/** A job whose audio was decoded and whose engine has begun. `segments` throws the errors from here on. */
export interface TranscriptionRun {
  /** Id of the model. */
  readonly model: string;
  /** In the order of the audio, as the engine produces them. May be iterated once. Throws AsrproError. */
  readonly segments: AsyncIterable<Segment>;
  /** Settles when `segments` has ended; rejects with the error that `segments` threw. */
  readonly result: Promise<JobResult>;
}

/** A finished transcript. `text` is the segments' text joined and trimmed; "" for silence. */
export interface Transcript {
  model: string;
  task: 'transcribe' | 'translate';
  text: string;
  /** ISO-639-1; null if neither the engine nor the request gives it. */
  language: string | null;
  /** Seconds. */
  duration: number;
  segments: Segment[];
}

/**
 * A place in the queue, taken before the upload is read so that a full queue costs no upload. `release` may be called more
 * than once.
 */
export interface Admission {
  /**
   * Waits for the request's turn, checks it against the model, loads the model if needed and starts the job. Resolves when
   * the audio is open and the engine has begun. `signal` cancels at any time, also during the iteration. Throws AsrproError.
   */
  start(request: TranscriptionRequest, signal: AbortSignal): Promise<TranscriptionRun>;
  release(): void;
}

export interface TranscriptionService {
  /** Throws `queue_full` or `shutting_down`. */
  admit(): Admission;
}
