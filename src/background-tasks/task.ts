import type { ErrorCode } from '../errors.ts';

export interface TaskFailure {
  code: ErrorCode;
  message: string;
  /** Whether a retry can succeed. */
  retryable: boolean;
}

/** The part of the status that downloads and installations have in common. */
export interface TaskStatus {
  status: 'queued' | 'downloading' | 'installing' | 'verifying' | 'installed' | 'failed' | 'cancelled';
  error: TaskFailure | null;
}

/** A download or an installation, as the code that does the work sees it. */
export interface BackgroundTask<S extends TaskStatus> {
  readonly status: S;
  /** Aborts when the task is cancelled or the gateway closes. */
  readonly signal: AbortSignal;
  /** Updates the status and notifies all watchers. Does nothing once the task has ended. */
  change(part: Partial<S>): void;
}

export function hasEnded({ status }: TaskStatus): boolean {
  return status === 'installed' || status === 'failed' || status === 'cancelled';
}
