import type { Expected } from './listing.ts';
import { Speed } from './speed.ts';
import type { DownloadStatus } from './types.ts';

/** Shortest time between two reports of new bytes, in milliseconds. */
const REPORT_MS = 100;

/** After this long without a byte, in milliseconds, the last speed no longer holds. */
const QUIET_MS = 2_000;

type FileStatus = DownloadStatus['files'][number];

/** Adds up the files of a download for a progress bar, and limits how often it reports. */
export class Progress {
  readonly #report: (part: Partial<DownloadStatus>) => void;
  readonly #speed = new Speed();
  #files: FileStatus[] = [];
  #reportedAt = 0;
  #restarts = 0;
  /** During a stall nothing else would correct the speed and the time left. */
  readonly #quiet = setTimeout(() => {
    this.#speed.clear();
    this.#report({ bytesPerSecond: null, secondsLeft: null });
  }, QUIET_MS).unref();

  constructor(report: (part: Partial<DownloadStatus>) => void) {
    this.#report = report;
  }

  /** Sets the files. `done` returns the bytes of a file that are already on disk. */
  begin(files: readonly Expected[], done: (file: Expected) => number): void {
    this.#files = files.map((file) => {
      const bytesDone = done(file);
      const status = bytesDone === file.size ? 'done' : 'waiting';
      return { path: file.path, bytesDone, bytesTotal: file.size, status };
    });
    this.#reportNow(true);
  }

  bytes(path: string, bytesDone: number, status: FileStatus['status']): void {
    const file = this.#files.find((one) => one.path === path);
    if (file === undefined) return;
    const changed = file.status !== status;
    Object.assign(file, { bytesDone, status });
    this.#reportNow(changed, path);
  }

  restarted(path: string): void {
    this.#restarts += 1;
    this.bytes(path, 0, 'downloading');
    this.#reportNow(true, path);
  }

  /** @param always also when the last report was a moment ago. */
  #reportNow(always: boolean, path: string | null = null): void {
    const at = performance.now();
    this.#quiet.refresh();
    if (!always && at - this.#reportedAt < REPORT_MS) return;
    this.#reportedAt = at;
    const bytesDone = this.#files.reduce((sum, file) => sum + file.bytesDone, 0);
    const bytesTotal = this.#files.reduce((sum, file) => sum + (file.bytesTotal ?? 0), 0);
    const verifying = this.#files.some(({ status }) => status === 'verifying');
    const moving = this.#files.some(({ status }) => status === 'downloading');
    if (moving) this.#speed.note(bytesDone, at);
    const bytesPerSecond = this.#speed.bytesPerSecond();
    this.#report({
      status: verifying && !moving ? 'verifying' : 'downloading',
      file: path,
      bytesDone,
      bytesTotal,
      bytesPerSecond,
      secondsLeft: bytesPerSecond ? (bytesTotal - bytesDone) / bytesPerSecond : null,
      restarts: this.#restarts,
      files: this.#files.map((file) => ({ ...file })),
    });
  }
}
