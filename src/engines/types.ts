import type { JobFailure } from '../downloads/types.ts';

export type EnvironmentId = 'core' | 'nemo';

/** One Python environment with its engines, as `GET /v1/engines` shows it. */
export interface EngineStatus {
  id: EnvironmentId;
  installed: boolean;
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
export interface InstallStatus {
  engine: EnvironmentId;
  status: 'queued' | 'installing' | 'verifying' | 'installed' | 'failed' | 'cancelled';
  /** What happens now, for people: "downloading ctranslate2". */
  step: string | null;
  /** Packages done and in all; null before it is known. */
  packagesDone: number;
  packagesTotal: number | null;
  error: JobFailure | null;
}

export interface Engines {
  list(): Promise<EngineStatus[]>;
  /** Cheap and cached; looks at the disk, starts no process. */
  status(id: EnvironmentId): Promise<EngineStatus>;
  /**
   * Starts the installation or joins the running one. Answers `installed` where nothing is missing; with `reinstall` the
   * environment is made anew.
   */
  install(id: EnvironmentId, options?: { reinstall?: boolean }): Promise<InstallStatus>;
  /** undefined: no job and not installed. */
  job(id: EnvironmentId): Promise<InstallStatus | undefined>;
  cancel(id: EnvironmentId): Promise<InstallStatus>;
  /** Every change until the job has ended, the last one included. */
  watch(id: EnvironmentId, signal?: AbortSignal): AsyncIterable<InstallStatus>;
  /** How to start the worker in it. Throws `engine_not_installed`. `env` holds library paths (cuBLAS). */
  interpreter(id: EnvironmentId): Promise<{ python: string; env: Record<string, string> }>;
  /** A Python that has pip, for fetching wheels: the `core` environment's, else one found on the machine. */
  pip(): Promise<{ python: string }>;
  /** Ends running installations. */
  close(): Promise<void>;
}
