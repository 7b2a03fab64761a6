import type { ErrorCode } from '../errors.ts';

export interface JobFailure {
  code: ErrorCode;
  message: string;
  /** Can trying again help? */
  retryable: boolean;
}

/** What every job shows of itself. */
export interface JobStatus {
  status: 'queued' | 'downloading' | 'installing' | 'verifying' | 'installed' | 'failed' | 'cancelled';
  error: JobFailure | null;
}

/** The work's view of its job. */
export interface Job<S extends JobStatus> {
  readonly status: S;
  /** Aborts when the job is cancelled or the program ends. */
  readonly signal: AbortSignal;
  /** Tells all who watch. Does nothing once the job has ended. */
  change(part: Partial<S>): void;
}

export function hasEnded({ status }: JobStatus): boolean {
  return status === 'installed' || status === 'failed' || status === 'cancelled';
}
