import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type BackgroundTask, hasEnded } from '../background-tasks/task.ts';
import { BackgroundTasks } from '../background-tasks/tasks.ts';
import { type Claim, hold, take } from '../claims/claim.mjs';
import { IN_USE } from '../claims/unused.ts';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { makeFolder, onDisk } from '../disk-error.ts';
import { defaultEnvironment, type EnvironmentId, environmentIds, environmentUnsupported } from '../engine-table.ts';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import {
  environmentFolder,
  hasLostPython,
  interpreterIn,
  readMarker,
  removeUnused,
  replaceEnvironment,
} from './environment.ts';
import { type Lock, readLock } from './lock.ts';
import type { EngineStatus, Engines, InstallStatus } from './types.ts';

export interface EnginesOptions {
  config: Config;
  paths: Paths;
  log: Log;
  /** The folder that contains `locks`. */
  runtimeRoot: string;
  environment: NodeJS.ProcessEnv;
  /** The machine has an NVIDIA driver, so packages for its GPU are installed as well. */
  nvidia: boolean;
}

/** The Python environments. Each has at most one running installation, shared by all callers. */
export function createEngines(options: EnginesOptions): Engines {
  const { config, paths, log, runtimeRoot, environment } = options;
  /** Packages for NVIDIA GPUs exist only for Linux. */
  const nvidia = options.nvidia && process.platform === 'linux';
  const tasks = new BackgroundTasks<InstallStatus>({ log, stopped: { step: null }, failure: 'engine_install_failed' });
  /** Claims of this process, by folder. */
  const uses = new Map<string, Promise<Claim | null>>();
  const locks = new Map<EnvironmentId, Lock>();
  /** Reads a lock on first use, so that no start waits for half a megabyte of names and hashes. */
  const lockOf = (id: EnvironmentId): Lock => {
    const lock = locks.get(id) ?? readLock(runtimeRoot, id);
    locks.set(id, lock);
    return lock;
  };
  const folderOf = (id: EnvironmentId): string => environmentFolder(paths.engines, id, lockOf(id));

  function status(id: EnvironmentId): EngineStatus {
    const folder = folderOf(id);
    const marker = readMarker(folder);
    const broken = marker !== null && hasLostPython(folder);
    const installed = marker !== null && !broken;
    const complete = installed && (marker.nvidia || !nvidia);
    return {
      ...{ id, installed, broken },
      python: installed ? interpreterIn(folder) : null,
      packages: installed ? marker.packages : {},
      sizeBytes: complete ? marker.sizeBytes : lockOf(id)[nvidia ? 'cudaSizeBytes' : 'sizeBytes'],
      reason: installed ? null : (environmentUnsupported(id) ?? (broken ? pythonGone(id) : notInstalled(id))),
      incomplete: installed && !complete ? withoutGpu(id) : null,
    };
  }

  function isComplete(id: EnvironmentId): boolean {
    const { installed, incomplete } = status(id);
    return installed && incomplete === null;
  }

  async function install(
    id: EnvironmentId,
    task: BackgroundTask<InstallStatus>,
    reinstall: boolean,
    wheels: string | null,
  ) {
    const { signal } = task;
    const folder = folderOf(id);
    const total = { packagesDone: task.status.packagesTotal ?? 0 };
    const { enginesPlace, installEnvironment } = await import('./installer.ts');
    if (wheels !== null) (await import('./wheel-folder.ts')).requireMatching(wheels, id, lockOf(id));
    const place = enginesPlace(paths.engines);
    await makeFolder(paths.engines, place);
    const onWait = (): void => task.change({ step: 'waiting for another asrpro process that installs it' });
    const claim = await onDisk(place, () => take(path.join(paths.engines, `${id}.claim`), { signal, onWait }));
    try {
      if (!reinstall && isComplete(id)) return total;
      // Before the installation, to free their space.
      await removeUnused(paths.engines, id, folder);
      // A new folder each time: the installer of a gateway that was killed may still be writing to the old one.
      const fresh = `${folder}.${randomBytes(4).toString('hex')}`;
      await installEnvironment({
        ...{ lock: lockOf(id), folder: fresh, environment, nvidia, wheels, signal },
        configuredPython: config.worker.python,
        onProgress: (step, packagesDone) =>
          task.change({ status: step.startsWith('checking') ? 'verifying' : 'installing', step, packagesDone }),
      });
      await onDisk(place, () => replaceEnvironment(fresh, folder));
    } finally {
      claim.release();
    }
    log.info({ engine: id }, 'engine installed');
    return total;
  }

  /** Claims the environment while this process runs, so that no other process removes it as unused. */
  async function use(id: EnvironmentId): Promise<void> {
    const folder = folderOf(id);
    const held = uses.get(folder) ?? hold(path.join(folder, IN_USE)).catch(() => null);
    uses.set(folder, held);
    await held;
  }

  return {
    list: async () => environmentIds.map(status),
    status: async (id) => status(id),
    async install(id, { reinstall = false, wheels = null } = {}) {
      requireSystem(id);
      if (!reinstall && !tasks.isRunning(id) && isComplete(id)) return finished(id);
      return tasks.start(id, queued(id, lockOf(id)), (task) => install(id, task, reinstall, wheels));
    },
    async installation(id) {
      const last = tasks.get(id);
      if (last && !hasEnded(last)) return last;
      // Since the end of the task, another process may have installed or removed the environment.
      if (isComplete(id)) return last?.status === 'installed' ? last : finished(id);
      if (last && last.status !== 'installed') return last;
      return status(id).installed ? finished(id) : undefined;
    },
    async cancel(id) {
      const ended = await tasks.cancel(id);
      if (ended) return ended;
      throw new AsrproError('install_not_found', `There is no installation of '${id}'.`);
    },
    async *watch(id, signal) {
      if (tasks.get(id) !== undefined) yield* tasks.watch(id, signal);
      else if (status(id).installed) yield finished(id);
    },
    async interpreter(id) {
      const folder = folderOf(id);
      if (existsSync(folder)) await use(id);
      const marker = readMarker(folder);
      if (marker === null) requireSystem(id);
      if (marker === null) throw new AsrproError('engine_not_installed', notInstalled(id));
      if (hasLostPython(folder)) throw new AsrproError('engine_broken', pythonGone(id));
      return { python: interpreterIn(folder), env: libraryPath(folder, marker.libraryFolders, environment) };
    },
    async download(id, folder, { signal, onProgress }) {
      requireSystem(id);
      const { downloadWheels } = await import('./wheel-folder.ts');
      const installed = status(id).python;
      if (installed !== null) await use(id);
      return await downloadWheels({
        ...{ id, lock: lockOf(id), folder, installed, environment, nvidia, signal, onProgress },
        configuredPython: config.worker.python,
      });
    },
    async pip() {
      const { pythonWithPip } = await import('./pip.ts');
      if (status(defaultEnvironment).installed) await use(defaultEnvironment);
      const ours = status(defaultEnvironment).python;
      return { python: await pythonWithPip(ours, config.worker.python, environment) };
    },
    async close() {
      await tasks.close();
      for (const held of uses.values()) (await held)?.release();
      uses.clear();
    },
  };
}

/** CTranslate2 opens cuBLAS through the dynamic loader, which reads LD_LIBRARY_PATH only when the process starts. */
function libraryPath(
  folder: string,
  libraryFolders: readonly string[],
  environment: NodeJS.ProcessEnv,
): Record<string, string> {
  if (libraryFolders.length === 0 || process.platform !== 'linux') return {};
  const folders = libraryFolders.map((relative) => path.join(folder, relative));
  return {
    LD_LIBRARY_PATH: [...folders, ...(environment.LD_LIBRARY_PATH ? [environment.LD_LIBRARY_PATH] : [])].join(':'),
  };
}

function requireSystem(id: EnvironmentId): void {
  const reason = environmentUnsupported(id);
  if (reason !== null) throw new AsrproError('engine_unsupported', reason);
}

function notInstalled(id: EnvironmentId): string {
  return `The engine '${id}' is not installed: run \`asrpro setup ${id}\` or POST /v1/engines/${id}/install.`;
}

function pythonGone(id: EnvironmentId): string {
  return `The Python of the engine '${id}' is gone: run \`asrpro setup ${id} --reinstall\` or POST /v1/engines/${id}/install.`;
}

function withoutGpu(id: EnvironmentId): string {
  return `It was installed before the NVIDIA driver: run \`asrpro setup ${id}\` or POST /v1/engines/${id}/install to add the packages for the GPU.`;
}

function queued(engine: EnvironmentId, lock: Lock): InstallStatus {
  return { engine, status: 'queued', step: null, packagesDone: 0, packagesTotal: lock.packages, error: null };
}

function finished(engine: EnvironmentId): InstallStatus {
  return { engine, status: 'installed', step: null, packagesDone: 0, packagesTotal: null, error: null };
}
