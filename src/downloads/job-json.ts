import type { JobFailure } from '../jobs/job.ts';
import type { DownloadStatus } from './types.ts';

/** A download as the API shows it. */
export interface DownloadJson {
  model: string;
  status: DownloadStatus['status'];
  bytes_done: number;
  bytes_total: number | null;
  bytes_per_second: number | null;
  seconds_left: number | null;
  file: string | null;
  source: string | null;
  error: JobFailure | null;
}

export function downloadJson(job: DownloadStatus): DownloadJson {
  return {
    model: job.model,
    status: job.status,
    bytes_done: job.bytesDone,
    bytes_total: job.bytesTotal,
    bytes_per_second: job.bytesPerSecond,
    seconds_left: job.secondsLeft,
    file: job.file,
    source: job.source,
    error: job.error,
  };
}
