import { MultiBar, type SingleBar } from 'cli-progress';
import type { DownloadStatus } from '../downloads/types.ts';
import type { Terminal } from './command.ts';

/** Percent between two lines on an output that is not a terminal. */
const LINE_EVERY_PERCENT = 10;

/** Shows a download on stderr: on a terminal a bar for each file and one for the total, elsewhere plain lines. */
export interface DownloadProgress {
  show(status: DownloadStatus): void;
  stop(): void;
}

export function downloadProgress(terminal: Terminal): DownloadProgress {
  if (terminal.quiet) return { show: () => undefined, stop: () => undefined };
  return terminal.animated ? bars(terminal) : lines(terminal);
}

function bars({ err }: Terminal): DownloadProgress {
  const all = new MultiBar({
    stream: err,
    format: '{name} {bar} {percentage} % {size} {rate}',
    hideCursor: true,
    clearOnComplete: true,
    autopadding: true,
    gracefulExit: false,
  });
  const byName = new Map<string, SingleBar>();
  const update = (name: string, done: number, total: number | null, rate = ''): void => {
    if (total === null || total === 0) return;
    const bar = byName.get(name) ?? all.create(total, 0, { name, size: '', rate: '' });
    byName.set(name, bar);
    bar.setTotal(total);
    bar.update(done, { name: name.padEnd(24), size: `${megabytes(done)}/${megabytes(total)} MB`, rate });
  };
  return {
    show(status) {
      for (const file of status.files) update(file.path, file.bytesDone, file.bytesTotal);
      update('total', status.bytesDone, status.bytesTotal, pace(status));
    },
    stop: () => all.stop(),
  };
}

function lines({ err }: Terminal): DownloadProgress {
  let printed = -LINE_EVERY_PERCENT;
  return {
    show(status) {
      const { model, file, bytesDone, bytesTotal } = status;
      if (bytesTotal === null || bytesTotal === 0 || file === null) return;
      const percent = Math.floor((100 * bytesDone) / bytesTotal);
      if (percent < printed + LINE_EVERY_PERCENT) return;
      printed = percent;
      const size = `${megabytes(bytesDone)} of ${megabytes(bytesTotal)} MB`;
      err.write(`${model}: ${percent} %, ${size}, ${file} ${pace(status)}`.trimEnd().concat('\n'));
    },
    stop: () => undefined,
  };
}

function pace({ status, bytesPerSecond, secondsLeft }: DownloadStatus): string {
  if (status === 'verifying') return 'verifying';
  if (bytesPerSecond === null) return '';
  const left = secondsLeft === null ? '' : `, ${timeLeft(secondsLeft)} left`;
  return `${(bytesPerSecond / 1e6).toFixed(1)} MB/s${left}`;
}

function timeLeft(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.ceil(seconds % 60)} s`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
}
