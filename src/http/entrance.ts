import { AsrproError } from '../errors.ts';
import type { Admission } from '../transcription/types.ts';
import type { Pace } from './body.ts';
import type { HttpServerDeps } from './deps.ts';
import { isLoopback } from './loopback.ts';

/** Bodies that are read at the same time for clients of other machines. A silent one costs a socket and little else. */
const MAX_BODIES = 1_000;
const LOCAL_PACE: Pace = { windowMs: 60_000, minBytes: 1 };
/** A tenth of the slowest line that speech is sent over as it is spoken. */
const REMOTE_PACE: Pace = { windowMs: 15_000, minBytes: 1_024 };

/** One upload on its way in. */
export interface Entry {
  /** How fast its body must come. */
  readonly pace: Pace;
  /** The place in the queue, which the upload needs from here on. Throws `queue_full`, `shutting_down`. */
  admit(): Admission;
  /** Gives back all that it holds; idempotent. */
  leave(): void;
}

/**
 * Where an upload waits while its body arrives; called before the body is read. Throws `queue_full`, `shutting_down`.
 *
 * For programs of this machine the place in the queue comes before the body: a full queue costs no upload. Elsewhere a
 * client may be slow or hostile, and 33 connections that sent nothing made every other request `queue_full`: there the
 * place is taken when the body is there, and a body has to keep moving.
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
      throw new AsrproError('queue_full', `The server reads ${MAX_BODIES} uploads already.`);
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
