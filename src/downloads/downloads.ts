import { EventEmitter, on } from 'node:events';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { makeFolder } from '../disk-error.ts';
import { AsrproError, asAsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { totalSize } from '../models/catalogue.ts';
import type { Model, ModelLibrary } from '../models/model.ts';
import { damagedFile, modelFolder, readInstalled } from '../models/store.ts';
import { type Backoff, defaultBackoff } from './backoff.ts';
import { hubSettings } from './hub-settings.ts';
import { takeLock } from './owner-lock.ts';
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
  /** Other times than those for the real hub. */
  backoff?: Backoff;
}

interface Job {
  source: DownloadSource;
  status: DownloadStatus;
  changes: EventEmitter;
  abort: AbortController;
  /** Resolves after the last change. */
  ended: Promise<void>;
}

/** A source that has a mirror gets few tries, because the mirror is at hand. */
const TRIES_BEFORE_MIRROR = 2;
/** In a model's folder: the process that fetches it. */
const LOCK = '.asrpro-lock';

/** One download per model, shared by all callers of this process; other processes wait and find it done. */
export function createDownloads(options: DownloadsOptions): Downloads {
  const { config, paths, log, library, environment } = options;
  const jobs = new Map<string, Job>();
  const models = config.models.directory === null ? paths.models : path.resolve(config.models.directory);
  const isComplete = (id: string): boolean => {
    const installed = readInstalled(models, id);
    return installed !== null && damagedFile(models, installed) === null;
  };

  async function install(job: Job, verify: boolean): Promise<void> {
    const { source, abort } = job;
    const hub = hubSettings(config.download, environment);
    if (hub.offline) {
      throw new AsrproError('download_offline', 'Downloads are switched off.', {
        hint: 'Set `download.offline` to false and unset HF_HUB_OFFLINE.',
      });
    }
    const folder = modelFolder(models, source.id);
    const { installModel, placeOf } = await import('./install-model.ts');
    await makeFolder(folder, placeOf(models));
    const release = await takeLock(path.join(folder, LOCK), abort.signal, () => undefined);
    try {
      if (!verify && isComplete(source.id)) return change(job, installedStatus(source, models));
      const backoff = options.backoff ?? defaultBackoff;
      const hasMirror = config.download.mirrors && source.mirrors.length > 0;
      const from = await installModel({
        ...{ hub, source, folder, models, log, environment, pip: options.pip },
        mirrors: config.download.mirrors,
        signal: abort.signal,
        backoff: hasMirror ? { ...backoff, tries: Math.min(backoff.tries, TRIES_BEFORE_MIRROR) } : backoff,
        progress: new Progress((part) => change(job, part)),
      });
      change(job, { ...installedStatus(source, models), source: from, restarts: job.status.restarts });
    } finally {
      release();
    }
  }

  async function run(job: Job, verify: boolean): Promise<void> {
    try {
      await install(job, verify);
    } catch (thrown) {
      const stopped = { bytesPerSecond: null, secondsLeft: null, file: null };
      if (job.abort.signal.aborted) return change(job, { status: 'cancelled', ...stopped });
      const error = asAsrproError(thrown);
      const { code, message, hint, kind } = error;
      log.error({ err: error.cause ?? error, model: job.source.id, code }, 'the download failed');
      const failure = { code, message: hint === null ? message : `${message} ${hint}`, retryable: kind.retryable };
      change(job, { status: 'failed', error: failure, ...stopped });
    }
  }

  function begin(source: DownloadSource, verify: boolean): Job {
    const job: Job = {
      ...{ source, status: queuedStatus(source), changes: new EventEmitter(), abort: new AbortController() },
      ended: Promise.resolve(),
    };
    job.changes.setMaxListeners(0);
    jobs.set(source.id, job);
    job.ended = run(job, verify);
    return job;
  }

  async function requireSource(modelId: string): Promise<{ model: Model; source: DownloadSource }> {
    const model = await library.find(modelId);
    const source = model && sourceOf(model.id, config.models.custom);
    if (model && source) return { model, source };
    throw new AsrproError('model_not_found', `There is no model '${modelId}' to download.`, { param: 'model' });
  }

  const downloads: Downloads = {
    async start(modelId, { verify = false } = {}) {
      const { model, source } = await requireSource(modelId);
      if (!verify && model.source === 'huggingface-cache') return sharedStatus(source, model);
      const running = jobs.get(source.id);
      if (running && !hasEnded(running.status)) return running.status;
      if (!verify && isComplete(source.id)) return installedStatus(source, models);
      return begin(source, verify).status;
    },
    async get(modelId) {
      const job = jobs.get(modelId);
      if (job && !(job.status.status === 'installed' && !isComplete(modelId))) return job.status;
      const source = sourceOf(modelId, config.models.custom);
      if (source === undefined) return undefined;
      if (isComplete(modelId)) return installedStatus(source, models);
      const model = await library.find(modelId);
      return model?.source === 'huggingface-cache' ? sharedStatus(source, model) : undefined;
    },
    async cancel(modelId, { keep }) {
      const job = jobs.get(modelId);
      if (job === undefined) throw new AsrproError('download_not_found', `There is no download of '${modelId}'.`);
      job.abort.abort();
      await job.ended;
      if (!keep && job.status.status === 'cancelled') {
        removePartial(modelFolder(models, modelId), isComplete(modelId));
        change(job, { bytesDone: 0 });
      }
      return job.status;
    },
    async *watch(modelId, signal) {
      const job = jobs.get(modelId);
      if (job === undefined) return;
      const changes = on(job.changes, 'change', signal ? { signal } : {});
      yield job.status;
      if (hasEnded(job.status)) return;
      for await (const [status] of changes) {
        yield status as DownloadStatus;
        if (hasEnded(status as DownloadStatus)) return;
      }
    },
    async close() {
      for (const job of jobs.values()) job.abort.abort();
      await Promise.all([...jobs.values()].map(({ ended }) => ended));
    },
  };
  return downloads;
}

function change(job: Job, part: Partial<DownloadStatus>): void {
  job.status = { ...job.status, ...part };
  job.changes.emit('change', job.status);
}

function hasEnded({ status }: DownloadStatus): boolean {
  return status === 'installed' || status === 'failed' || status === 'cancelled';
}

/** What an unfinished download left; of a model that is complete, nothing of it. */
function removePartial(folder: string, isComplete: boolean): void {
  if (!isComplete) return rmSync(folder, { recursive: true, force: true });
  for (const name of readdirSync(folder, { recursive: true }).map(String)) {
    if (name.endsWith('.partial')) rmSync(path.join(folder, name), { force: true });
  }
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

/** Another program has fetched it; there is nothing to do. */
function sharedStatus(source: DownloadSource, { sizeBytes }: Model): DownloadStatus {
  const bytes = sizeBytes ?? 0;
  const size = { bytesDone: bytes, bytesTotal: bytes, secondsLeft: 0 };
  return { ...queuedStatus(source), status: 'installed', ...size, source: 'huggingface-cache', files: [] };
}
