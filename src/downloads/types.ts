import type { TaskStatus } from '../background-tasks/task.ts';

/** What a progress bar shows. Bytes never go back except on a restart that `restarts` counts, and never pass the total. */
export interface DownloadStatus extends TaskStatus {
  model: string;
  status: 'queued' | 'downloading' | 'verifying' | 'installed' | 'failed' | 'cancelled';
  bytesDone: number;
  /** null until the sizes are known. */
  bytesTotal: number | null;
  /** Over the last seconds; null when nothing moves. */
  bytesPerSecond: number | null;
  secondsLeft: number | null;
  /** The file in work; null between files. */
  file: string | null;
  /** Where the bytes come from: `hub`, `wheel`; null before it is known. */
  source: string | null;
  /** How often bytes that were there turned out to be of no use. */
  restarts: number;
  /** Every file on its own, for a bar each. */
  files: {
    path: string;
    bytesDone: number;
    bytesTotal: number | null;
    status: 'waiting' | 'downloading' | 'verifying' | 'done';
  }[];
}

/** One download per model, shared by all callers. */
export interface Downloads {
  /**
   * Starts the job or joins the running one. An installed model answers `installed`; with `verify` its files are read
   * again, and the wrong ones fetched. Throws `model_not_found`.
   */
  start(modelId: string, options?: { verify?: boolean }): Promise<DownloadStatus>;
  /** undefined: no job and not installed. */
  get(modelId: string): Promise<DownloadStatus | undefined>;
  /**
   * Cancels; `keep` leaves a partial that a later download resumes. Without `keep`, what failed and forgotten downloads left
   * goes as well, unless another process works on the model: a job that only waited for it ends and touches nothing.
   * Throws `download_not_found`, and `model_busy` where another process downloads and this one has nothing to cancel.
   */
  cancel(modelId: string, options: { keep: boolean }): Promise<DownloadStatus>;
  /** Whether an unfinished download of a model left files that `cancel` without `keep` removes. */
  hasLeftovers(modelId: string): Promise<boolean>;
  /** Every change of a job until it has ended, the last one included. */
  watch(modelId: string, signal?: AbortSignal): AsyncIterable<DownloadStatus>;
  /** Stops all jobs, keeping their partial files. */
  close(): Promise<void>;
}
