import { setTimeout as pause } from 'node:timers/promises';
import type { BackgroundTask } from '../background-tasks/task.ts';
import { BackgroundTasks } from '../background-tasks/tasks.ts';
import type { DownloadStatus, Downloads } from '../downloads/types.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { modelNotFound } from '../models/not-found.ts';
import type { MockLibrary } from './library.ts';
import { scenarioOf } from './scenarios.ts';

/** A mock download has this many steps, this many milliseconds apart. */
const STEPS = 10;
const STEP_MS = 50;
/** A failing download fails at this step. */
const FAILS_AT_STEP = 4;
const TOTAL_BYTES = 64 * 1024 * 1024;
const FILE = 'model.bin';

/** Downloads that move no byte: the same task, the same numbers, half a second long. */
export function createMockDownloads(library: MockLibrary, log: Log): Downloads {
  const stopped = { bytesPerSecond: null, secondsLeft: null, file: null };
  const tasks = new BackgroundTasks<DownloadStatus>({ log, stopped, failure: 'download_failed' });

  async function download(id: string, task: BackgroundTask<DownloadStatus>): Promise<Partial<DownloadStatus>> {
    for (let number = 1; number <= STEPS; number += 1) {
      await pause(STEP_MS, undefined, { signal: task.signal });
      if (number === FAILS_AT_STEP && scenarioOf(id).download === 'fails') {
        throw new AsrproError('download_failed', 'The mock download failed, as it always does.');
      }
      task.change({
        status: number === STEPS ? 'verifying' : 'downloading',
        bytesDone: Math.round((TOTAL_BYTES * number) / STEPS),
        bytesPerSecond: Math.round((TOTAL_BYTES / STEPS) * (1000 / STEP_MS)),
        secondsLeft: ((STEPS - number) * STEP_MS) / 1000,
        file: FILE,
        source: 'hub',
      });
    }
    await pause(STEP_MS, undefined, { signal: task.signal });
    library.install(id);
    return { secondsLeft: 0 };
  }

  return {
    async start(id) {
      const model = await library.find(id);
      if (model === undefined) throw modelNotFound(id);
      if (model.downloaded) return initial(id, 'installed');
      return tasks.start(id, initial(id, 'queued'), (task) => download(id, task));
    },
    async get(id) {
      const model = await library.find(id);
      const status = tasks.get(id);
      // The model may have been deleted since.
      if (status && !(status.status === 'installed' && !model?.downloaded)) return status;
      return model?.downloaded ? initial(id, 'installed') : undefined;
    },
    async cancel(id, { keep }) {
      const status = await tasks.cancel(id);
      if (status === undefined)
        throw new AsrproError('download_not_found', `There is no download of '${id}'.`, { param: 'model' });
      if (status.status !== 'installed' && !keep) tasks.correct(id, { bytesDone: 0 });
      return tasks.get(id)!;
    },
    hasLeftovers: async () => false,
    watch: (id, signal) => tasks.watch(id, signal),
    close: () => tasks.close(),
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
