import type { DownloadStatus, Downloads } from '../downloads/types.ts';
import { AsrproError } from '../errors.ts';
import { createChannel } from '../worker/channel.ts';
import type { MockLibrary } from './library.ts';
import { scenarioOf } from './scenarios.ts';

/** Steps of a mock download and the time between two, in milliseconds. */
const STEPS = 10;
const STEP_MS = 50;
/** A failing download gets this far. */
const FAILS_AT_STEP = 4;
const TOTAL_BYTES = 64 * 1024 * 1024;
const FILE = 'model.bin';

/** Downloads that move no byte: the same job, the same numbers, half a second long. */
export function createMockDownloads(library: MockLibrary): Downloads {
  const jobs = new Map<
    string,
    { status: DownloadStatus; timer: NodeJS.Timeout | null; watchers: Set<(status: DownloadStatus) => void> }
  >();

  const change = (id: string, part: Partial<DownloadStatus>): void => {
    const job = jobs.get(id);
    if (job === undefined) return;
    job.status = { ...job.status, ...part };
    for (const watcher of job.watchers) watcher(job.status);
  };

  const step = (id: string, number: number): void => {
    const fails = scenarioOf(id).download === 'fails';
    if (fails && number === FAILS_AT_STEP) {
      const message = 'The mock download failed, as it always does.';
      return change(id, {
        status: 'failed',
        bytesPerSecond: null,
        secondsLeft: null,
        error: { code: 'download_failed', message, retryable: true },
      });
    }
    if (number > STEPS) {
      library.install(id);
      return change(id, { status: 'installed', bytesPerSecond: null, secondsLeft: 0, file: null });
    }
    change(id, {
      status: number === STEPS ? 'verifying' : 'downloading',
      bytesDone: Math.round((TOTAL_BYTES * number) / STEPS),
      bytesPerSecond: Math.round((TOTAL_BYTES / STEPS) * (1000 / STEP_MS)),
      secondsLeft: ((STEPS - number) * STEP_MS) / 1000,
      file: FILE,
      source: 'hub',
    });
    const job = jobs.get(id);
    if (job) job.timer = setTimeout(() => step(id, number + 1), STEP_MS);
  };

  const get = async (id: string): Promise<DownloadStatus | undefined> => {
    const model = await library.find(id);
    return jobs.get(id)?.status ?? (model?.downloaded ? initial(id, 'installed') : undefined);
  };

  return {
    async start(id) {
      const model = await library.find(id);
      if (model === undefined)
        throw new AsrproError('model_not_found', `There is no model '${id}'.`, { param: 'model' });
      if (model.downloaded) return initial(id, 'installed');
      const running = jobs.get(id);
      if (running && ['queued', 'downloading', 'verifying'].includes(running.status.status)) return running.status;
      const status = initial(id, 'queued');
      jobs.set(id, { status, timer: setTimeout(() => step(id, 1), STEP_MS), watchers: running?.watchers ?? new Set() });
      return status;
    },
    get,
    async cancel(id, { keep }) {
      const job = jobs.get(id);
      if (job === undefined)
        throw new AsrproError('download_not_found', `There is no download of '${id}'.`, { param: 'model' });
      clearTimeout(job.timer ?? undefined);
      if (job.status.status !== 'installed')
        change(id, { status: 'cancelled', bytesPerSecond: null, secondsLeft: null, ...(keep ? {} : { bytesDone: 0 }) });
      return job.status;
    },
    async *watch(id, signal) {
      const job = jobs.get(id);
      if (job === undefined) return;
      const channel = createChannel<DownloadStatus>();
      const ended = (status: DownloadStatus): boolean => ['installed', 'failed', 'cancelled'].includes(status.status);
      const heard = (status: DownloadStatus): void => {
        channel.push(status);
        if (ended(status)) channel.end();
      };
      signal?.addEventListener('abort', () => channel.end(), { once: true });
      job.watchers.add(heard);
      heard(job.status);
      try {
        yield* channel;
      } finally {
        job.watchers.delete(heard);
      }
    },
    async close() {
      for (const { timer } of jobs.values()) clearTimeout(timer ?? undefined);
    },
  };
}

function initial(model: string, status: 'queued' | 'installed'): DownloadStatus {
  const bytesDone = status === 'installed' ? TOTAL_BYTES : 0;
  return {
    model,
    status,
    bytesDone,
    bytesTotal: TOTAL_BYTES,
    bytesPerSecond: null,
    secondsLeft: null,
    restarts: 0,
    file: null,
    source: null,
    error: null,
    files: [{ path: FILE, bytesDone, bytesTotal: TOTAL_BYTES, status: status === 'installed' ? 'done' : 'waiting' }],
  };
}
