import type { TaskStatus } from '../background-tasks/task.ts';

/** Data for a progress bar. Bytes decrease only on a restart, which `restarts` counts, and never exceed the total. */
export interface DownloadStatus extends TaskStatus {
  model: string;
  status: 'queued' | 'downloading' | 'verifying' | 'installed' | 'failed' | 'cancelled';
  bytesDone: number;
  /** null until the sizes are known. */
  bytesTotal: number | null;
  /** Average of the last seconds; null when no bytes arrive. */
  bytesPerSecond: number | null;
  secondsLeft: number | null;
  /** The file that is being downloaded; null between files. */
  file: string | null;
  /** Where the bytes come from: `hub`, `wheel`; null before it is known. */
  source: string | null;
  /** How often a file had to start over because its bytes were wrong. */
  restarts: number;
  /** One entry per file, for a bar each. */
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
   * Starts a download or joins the running one. Returns `installed` for an installed model; with `verify` its files are
   * read again and wrong ones downloaded. Throws `model_not_found`.
   */
  start(modelId: string, options?: { verify?: boolean }): Promise<DownloadStatus>;
  /** undefined: no download, and the model is not installed. */
  get(modelId: string): Promise<DownloadStatus | undefined>;
  /**
   * Cancels the download. With `keep`, a later download can resume the partial files; without it, they are removed, also
   * those of earlier downloads, unless another process works on the model.
   * Throws `download_not_found`, and `model_busy` if another process downloads and this one has nothing to cancel.
   */
  cancel(modelId: string, options: { keep: boolean }): Promise<DownloadStatus>;
  /** Whether an unfinished download left files that `cancel` without `keep` would remove. */
  hasLeftovers(modelId: string): Promise<boolean>;
  /** Every change of a download until it has ended, including the last one. */
  watch(modelId: string, signal?: AbortSignal): AsyncIterable<DownloadStatus>;
  /** Stops all downloads and keeps their partial files. */
  close(): Promise<void>;
}
