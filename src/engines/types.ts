import type { TaskStatus } from '../background-tasks/task.ts';
import type { EnvironmentId } from '../engine-table.ts';

/** One Python environment with its engines, as `GET /v1/engines` shows it. */
export interface EngineStatus {
  id: EnvironmentId;
  installed: boolean;
  /** It is there, but does not work any more; then it does not count as installed. */
  broken: boolean;
  /** Absolute path of its interpreter; null when not installed. */
  python: string | null;
  /** Top packages and versions, empty when not installed. */
  packages: Record<string, string>;
  /** On disk where nothing is missing, else what an installation will take. */
  sizeBytes: number;
  /** Why it is not installed or not usable, with the remedy; null when fine. */
  reason: string | null;
  /** What an installed one lacks to use the GPU, with the remedy; null when nothing. */
  incomplete: string | null;
}

/** Installation of an environment, shared by all callers. */
export interface InstallStatus extends TaskStatus {
  engine: EnvironmentId;
  status: 'queued' | 'installing' | 'verifying' | 'installed' | 'failed' | 'cancelled';
  /** What happens now, for people: "downloading ctranslate2". */
  step: string | null;
  /** Packages done and in all; null before it is known. */
  packagesDone: number;
  packagesTotal: number | null;
}

export interface Engines {
  list(): Promise<EngineStatus[]>;
  /** Cheap and cached; looks at the disk, starts no process. */
  status(id: EnvironmentId): Promise<EngineStatus>;
  /**
   * Starts the installation or joins the running one. Answers `installed` where nothing is missing, unless it shall be made
   * anew with `reinstall`; the old one is of use until the new one is complete. `wheels`: from a folder, without network.
   */
  install(id: EnvironmentId, options?: { reinstall?: boolean; wheels?: string | null }): Promise<InstallStatus>;
  /** undefined: no job and not installed. */
  installation(id: EnvironmentId): Promise<InstallStatus | undefined>;
  /** Throws `install_not_found`. */
  cancel(id: EnvironmentId): Promise<InstallStatus>;
  /** Every change until the job or the signal has ended it, the last one included. */
  watch(id: EnvironmentId, signal?: AbortSignal): AsyncIterable<InstallStatus>;
  /**
   * How to start the worker in it; nobody removes it while this process runs. Throws `engine_not_installed`, `engine_broken`. `env` holds library paths (cuBLAS).
   */
  interpreter(id: EnvironmentId): Promise<{ python: string; env: Record<string, string> }>;
  /** Fetches what an installation on another machine of this kind wants into a folder. */
  download(
    id: EnvironmentId,
    folder: string,
    options: { signal: AbortSignal; onProgress(step: string): void },
  ): Promise<{ python: string }>;
  /** A Python that has pip, for fetching wheels: that of the first environment, else one found on the machine. */
  pip(): Promise<{ python: string }>;
  /** Ends running installations. */
  close(): Promise<void>;
}
