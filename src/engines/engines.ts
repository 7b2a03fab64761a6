import { EventEmitter, on } from 'node:events';
import path from 'node:path';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { makeFolder } from '../disk-error.ts';
import { AsrproError, asAsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { environmentFolder, interpreterIn, readMarker, removeOthers } from './environment.ts';
import { type Lock, readLock } from './lock.ts';
import type { EngineStatus, Engines, EnvironmentId, InstallStatus } from './types.ts';

export interface EnginesOptions {
  config: Config;
  paths: Paths;
  log: Log;
  /** Folder that holds `locks`. */
  runtimeRoot: string;
  environment: NodeJS.ProcessEnv;
  /** The machine has an NVIDIA driver: what its GPU needs is installed as well. */
  nvidia: boolean;
}

const IDS: readonly EnvironmentId[] = ['core', 'nemo'];
/** An installer that has not touched its lock for so long, in milliseconds, is dead. */
const STALE_MS = 20_000;

interface Job {
  status: InstallStatus;
  changes: EventEmitter;
  abort: AbortController;
}

/** The Python environments: one installation at a time for each, whoever asks for it. */
export function createEngines(options: EnginesOptions): Engines {
  const { config, paths, log, runtimeRoot, environment } = options;
  /** For other systems than Linux there are no packages with what its GPU needs. */
  const nvidia = options.nvidia && process.platform === 'linux';
  const jobs = new Map<EnvironmentId, Job>();
  const locks = new Map<EnvironmentId, Lock>();
  /** Read when first wanted: no start waits for half a megabyte of names and hashes. */
  const lockOf = (id: EnvironmentId): Lock => {
    const lock = locks.get(id) ?? readLock(runtimeRoot, id);
    locks.set(id, lock);
    return lock;
  };
  const folderOf = (id: EnvironmentId): string => environmentFolder(paths.engines, id, lockOf(id));

  function status(id: EnvironmentId): EngineStatus {
    const marker = readMarker(folderOf(id));
    const installed = marker !== null;
    const complete = marker !== null && (marker.nvidia || !nvidia);
    return {
      id,
      installed,
      python: installed ? interpreterIn(folderOf(id)) : null,
      packages: marker?.packages ?? {},
      sizeBytes: complete ? marker.sizeBytes : lockOf(id)[nvidia ? 'cudaSizeBytes' : 'sizeBytes'],
      reason: installed ? null : notInstalled(id),
      incomplete: installed && !complete ? withoutGpu(id) : null,
    };
  }

  function isComplete(id: EnvironmentId): boolean {
    const { installed, incomplete } = status(id);
    return installed && incomplete === null;
  }

  function change(job: Job, part: Partial<InstallStatus>): void {
    job.status = { ...job.status, ...part };
    job.changes.emit('change', job.status);
  }

  async function install(id: EnvironmentId, job: Job, reinstall: boolean): Promise<void> {
    const folder = folderOf(id);
    const { enginesPlace, installEnvironment } = await import('./installer.ts');
    await makeFolder(paths.engines, enginesPlace(paths.engines));
    const { default: lockfile } = await import('proper-lockfile');
    const release = await lockfile.lock(paths.engines, {
      lockfilePath: path.join(paths.engines, `${id}.lock`),
      stale: STALE_MS,
      // Another process installs the same: its work is awaited and then found done.
      retries: { forever: true, minTimeout: 500, maxTimeout: 1000 },
      onCompromised: (error) => log.warn({ err: error }, 'the lock of the installation was lost'),
    });
    try {
      if ((reinstall || !isComplete(id)) && !job.abort.signal.aborted) {
        await installEnvironment({
          lock: lockOf(id),
          folder,
          configuredPython: config.worker.python,
          environment,
          nvidia,
          signal: job.abort.signal,
          onProgress: (step, packagesDone) =>
            change(job, { status: step.startsWith('checking') ? 'verifying' : 'installing', step, packagesDone }),
        });
        removeOthers(paths.engines, id, folder);
      }
    } finally {
      await release();
    }
  }

  async function run(id: EnvironmentId, job: Job, reinstall: boolean): Promise<void> {
    try {
      await install(id, job, reinstall);
      if (job.abort.signal.aborted)
        throw new AsrproError('engine_install_cancelled', 'The installation was cancelled.');
      change(job, { status: 'installed', step: null, packagesDone: job.status.packagesTotal ?? 0 });
      log.info({ engine: id }, 'engine installed');
    } catch (error) {
      const { code, message, hint, kind } = asAsrproError(error);
      const text = hint === null ? message : `${message} ${hint}`;
      log.error({ err: error }, `the engine '${id}' could not be installed`);
      const cancelled = code === 'engine_install_cancelled';
      change(job, {
        status: cancelled ? 'cancelled' : 'failed',
        step: null,
        error: cancelled
          ? null
          : { code, message: text, retryable: kind.retryable || code === 'engine_install_failed' },
      });
    }
  }

  const engines: Engines = {
    list: async () => IDS.map(status),
    status: async (id) => status(id),
    async install(id, { reinstall = false } = {}) {
      if (!reinstall && isComplete(id)) return finished(id);
      const running = jobs.get(id);
      if (running && !hasEnded(running.status)) return running.status;
      const job: Job = { status: queued(id, lockOf(id)), changes: new EventEmitter(), abort: new AbortController() };
      jobs.set(id, job);
      void run(id, job, reinstall);
      return job.status;
    },
    job: async (id) => jobs.get(id)?.status ?? (status(id).installed ? finished(id) : undefined),
    async cancel(id) {
      const job = jobs.get(id);
      if (job === undefined) throw new AsrproError('install_not_found', `There is no installation of '${id}'.`);
      job.abort.abort();
      for await (const last of engines.watch(id)) if (hasEnded(last)) return last;
      return job.status;
    },
    async *watch(id, signal) {
      const job = jobs.get(id);
      if (job === undefined) {
        if (status(id).installed) yield finished(id);
        return;
      }
      const changes = on(job.changes, 'change', signal ? { signal } : {});
      yield job.status;
      if (hasEnded(job.status)) return;
      for await (const [changed] of changes) {
        yield changed as InstallStatus;
        if (hasEnded(changed as InstallStatus)) return;
      }
    },
    async interpreter(id) {
      const folder = folderOf(id);
      const marker = readMarker(folder);
      if (marker === null) throw new AsrproError('engine_not_installed', `${notInstalled(id)}`);
      return { python: interpreterIn(folder), env: libraryPath(folder, marker.libraryFolders, environment) };
    },
    async pip() {
      const { pythonWithPip } = await import('./pip.ts');
      const core = status('core').installed ? interpreterIn(folderOf('core')) : null;
      return { python: await pythonWithPip(core, config.worker.python, environment) };
    },
    async close() {
      for (const [id, job] of jobs) if (!hasEnded(job.status)) await engines.cancel(id);
    },
  };
  return engines;
}

/** CTranslate2 opens cuBLAS through the loader, which reads this variable only at the start of the process. */
function libraryPath(
  folder: string,
  libraryFolders: readonly string[],
  environment: NodeJS.ProcessEnv,
): Record<string, string> {
  if (libraryFolders.length === 0 || process.platform !== 'linux') return {};
  const own = libraryFolders.map((relative) => path.join(folder, relative));
  return { LD_LIBRARY_PATH: [...own, ...(environment.LD_LIBRARY_PATH ? [environment.LD_LIBRARY_PATH] : [])].join(':') };
}

function notInstalled(id: EnvironmentId): string {
  return `The engine '${id}' is not installed: run \`asrpro setup ${id}\` or POST /v1/engines/${id}/install.`;
}

function withoutGpu(id: EnvironmentId): string {
  return `It was installed before the NVIDIA driver: run \`asrpro setup ${id}\` or POST /v1/engines/${id}/install to add what the GPU needs.`;
}

function hasEnded({ status }: InstallStatus): boolean {
  return status === 'installed' || status === 'failed' || status === 'cancelled';
}

function queued(engine: EnvironmentId, lock: Lock): InstallStatus {
  return { engine, status: 'queued', step: null, packagesDone: 0, packagesTotal: lock.packages, error: null };
}

function finished(engine: EnvironmentId): InstallStatus {
  return { engine, status: 'installed', step: null, packagesDone: 0, packagesTotal: null, error: null };
}
