import type { Config } from '../config/schema.ts';
import { AsrproError } from '../errors.ts';
import type { Admission, TranscriptionService } from '../transcription/types.ts';
import type { Pace } from './body.ts';
import { isLoopback } from './loopback.ts';

/** Bodies that are read at the same time for clients of other machines. A silent one costs a socket and little else. */
const MAX_BODIES = 1_000;

/** One upload on its way in. */
export interface Entry {
  /** The place in the queue, which the upload needs from here on. Throws `queue_full`, `shutting_down`. */
  admit(): Admission;
  /** Gives back all that it holds; idempotent. */
  leave(): void;
}

/** Where an upload waits while its body arrives. */
export interface Entrance {
  /** How fast a body must come. */
  readonly pace: Pace;
  /** Before the body is read. Throws `queue_full`, `shutting_down`. */
  enter(): Entry;
}

/**
 * For programs of this machine the place in the queue comes before the body: a full queue costs no upload. Elsewhere a
 * client may be slow or hostile, and 33 connections that sent nothing made every other request `queue_full`: there the
 * place is taken when the body is there, and a body has to keep moving.
 */
export function createEntrance(transcription: TranscriptionService, { host }: Config['server']): Entrance {
  if (isLoopback(host)) {
    return {
      pace: { windowMs: 60_000, minBytes: 1 },
      enter() {
        const admission = transcription.admit();
        return { admit: () => admission, leave: () => admission.release() };
      },
    };
  }
  const reading = new Set<Entry>();
  return {
    pace: { windowMs: 15_000, minBytes: 4_096 },
    enter() {
      transcription.admit().release();
      if (reading.size >= MAX_BODIES) {
        throw new AsrproError('queue_full', `The server reads ${MAX_BODIES} uploads already.`);
      }
      let admission: Admission | undefined;
      const entry: Entry = {
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
    },
  };
}
