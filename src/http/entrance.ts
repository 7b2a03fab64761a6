import { AsrproError } from '../errors.ts';
import type { Admission } from '../transcription/types.ts';
import type { Pace } from './body.ts';
import type { HttpServerDeps } from './deps.ts';
import { isLoopback } from './loopback.ts';

/** How many bodies from other machines are read at the same time. A silent client costs little more than a socket. */
const MAX_BODIES = 1_000;
const LOCAL_PACE: Pace = { windowMs: 60_000, minBytes: 1 };
/** A tenth of the slowest connection over which live speech is sent. */
const REMOTE_PACE: Pace = { windowMs: 15_000, minBytes: 1_024 };

/** An upload whose body is being received. */
export interface Entry {
  /** Minimum rate of the body. */
  readonly pace: Pace;
  /** Takes the place in the queue, unless the upload has it already. Throws `queue_full`, `shutting_down`. */
  admit(): Admission;
  /** Releases everything that the upload holds; may be called again. */
  leave(): void;
}

/**
 * The returned function throws `queue_full`, `shutting_down`. On loopback it takes the place in the queue before the body is
 * read, so that a full queue costs no upload. On other addresses 33 connections that sent nothing made every other request
 * fail with `queue_full`. There the upload takes its place after its body, and the body must keep a minimum rate.
 */
export function createEntrance({
  transcription,
  config,
}: Pick<HttpServerDeps, 'transcription' | 'config'>): () => Entry {
  const reading = new Set<Entry>();

  function enterFirst(): Entry {
    const admission = transcription.admit();
    return { pace: LOCAL_PACE, admit: () => admission, leave: () => admission.release() };
  }

  function readFirst(): Entry {
    transcription.admit().release();
    if (reading.size >= MAX_BODIES) {
      throw new AsrproError('queue_full', `The server is already receiving ${MAX_BODIES} uploads.`);
    }
    let admission: Admission | undefined;
    const entry: Entry = {
      pace: REMOTE_PACE,
      admit() {
        reading.delete(entry);
        admission ??= transcription.admit();
        return admission;
      },
      leave() {
        reading.delete(entry);
        admission?.release();
      },
    };
    reading.add(entry);
    return entry;
  }

  return () => (isLoopback(config.server.host.toLowerCase()) ? enterFirst() : readFirst());
}
