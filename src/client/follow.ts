import { setTimeout as wait } from 'node:timers/promises';
import type { JobFailure } from './api-types.ts';
import { call, type Target } from './http.ts';
import { SidecarError } from './sidecar-error.ts';

export interface Following {
  /** Cancels the job. */
  signal?: AbortSignal;
  /** Polling interval in milliseconds; default 200. */
  everyMs?: number;
}

interface Job {
  status: string;
  error: JobFailure | null;
}

/**
 * Starts a job and yields its states, up to and including the last one. Throws the job's error. Returns normally after a
 * cancellation. Leaving the loop early does not cancel the job.
 */
export async function* follow<T extends Job>(
  target: Target,
  path: string,
  { signal, everyMs = 200 }: Following,
): AsyncGenerator<T, void> {
  let job = await call<T>(target, 'POST', path);
  for (;;) {
    yield job;
    if (job.status === 'failed') {
      const { code = 'internal_error', message = 'The job failed.' } = job.error ?? {};
      throw new SidecarError(code, message);
    }
    if (job.status === 'installed' || job.status === 'cancelled') return;
    await wait(everyMs, undefined, signal ? { signal } : {}).catch(() => undefined);
    job = await call<T>(target, signal?.aborted ? 'DELETE' : 'GET', path);
  }
}
