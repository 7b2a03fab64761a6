import type { TaskStatus } from '../background-tasks/task.ts';
import type { EnvironmentId } from '../engine-table.ts';

/** One Python environment with its engines, as `GET /v1/engines` shows it. */
export interface EngineStatus {
  id: EnvironmentId;
  installed: boolean;
  /** The environment exists but no longer works; then `installed` is false. */
  broken: boolean;
  /** Absolute path of its interpreter; null when not installed. */
  python: string | null;
  /** Main packages and their versions; empty when not installed. */
  packages: Record<string, string>;
  /** Size on disk when complete, else the size that an installation will need. */
  sizeBytes: number;
  /** Why it is not installed or not usable, with the remedy; null when it is usable. */
  reason: string | null;
  /** What an installed environment lacks to use the GPU, with the remedy; null when it lacks nothing. */
  incomplete: string | null;
}

/** Installation of an environment, shared by all callers. */
export interface InstallStatus extends TaskStatus {
  engine: EnvironmentId;
  status: 'queued' | 'installing' | 'verifying' | 'installed' | 'failed' | 'cancelled';
  /** The current step, for people: "fetching ctranslate2". */
  step: string | null;
  /** Packages done and in total; the total is null before it is known. */
  packagesDone: number;
  packagesTotal: number | null;
}

export interface Engines {
  list(): Promise<EngineStatus[]>;
  /** Cheap: reads small files and starts no process. */
  status(id: EnvironmentId): Promise<EngineStatus>;
  /**
   * Starts an installation or joins the running one. Returns `installed` if nothing is missing, unless `reinstall` is set;
   * the old environment stays usable until the new one is complete. `wheels`: a folder to install from, without network.
   */
  install(id: EnvironmentId, options?: { reinstall?: boolean; wheels?: string | null }): Promise<InstallStatus>;
  /** undefined: no installation has run and the environment is not installed. */
  installation(id: EnvironmentId): Promise<InstallStatus | undefined>;
  /** Throws `install_not_found`. */
  cancel(id: EnvironmentId): Promise<InstallStatus>;
  /** Every change until the installation has ended, including the last one, or until the signal aborts. */
  watch(id: EnvironmentId, signal?: AbortSignal): AsyncIterable<InstallStatus>;
  /**
   * How to start a worker in the environment. From then on no other process removes it while this one runs. `env` has
   * library paths (cuBLAS). Throws `engine_not_installed`, `engine_broken`.
   */
  interpreter(id: EnvironmentId): Promise<{ python: string; env: Record<string, string> }>;
  /** Downloads into a folder the packages for an installation on another machine of this kind. */
  download(
    id: EnvironmentId,
    folder: string,
    options: { signal: AbortSignal; onProgress(step: string): void },
  ): Promise<{ python: string }>;
  /** A Python that has pip, to download wheels: that of the first environment, else one of the machine. */
  pip(): Promise<{ python: string }>;
  /** Ends running installations. */
  close(): Promise<void>;
}
