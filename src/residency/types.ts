import type { Model } from '../models/model.ts';
import type { JobResult, Segment } from '../wire/messages.ts';
import type { JobRequest } from './job.ts';

/** What is loaded, as `GET /v1/settings/model` shows it. */
export interface ResidentStatus {
  /** The model that is loaded, being loaded or being unloaded; null: none. */
  model: string | null;
  status: 'loaded' | 'loading' | 'unloading' | 'none';
  device: string | null;
  computeType: string | null;
  memoryBytes: number | null;
  loadSeconds: number | null;
}

export interface LoadReport extends ResidentStatus {
  /** The model that was loaded before; null: none. */
  previous: string | null;
}

/** Proof of an unload: memory measured before the worker's exit and after it, even if the worker crashed. */
export interface UnloadReport {
  /** null: no model was loaded. */
  unloaded: string | null;
  memory: {
    /** Memory held by the worker and its child processes that an exit frees. */
    beforeBytes: number;
    /** The part of it that none of those processes holds any longer. */
    returnedBytes: number;
    workerExited: true;
    exitSeconds: number;
    /** Memory available to programs, before and after; null on systems other than Linux. */
    systemAvailableBeforeBytes: number | null;
    systemAvailableAfterBytes: number | null;
    /** Free memory of the GPU before and after; null without an NVIDIA GPU. */
    gpuFreeBeforeBytes: number | null;
    gpuFreeAfterBytes: number | null;
  };
}

export interface WorkerHealth {
  state: 'stopped' | 'starting' | 'ready' | 'stopping' | 'crashed' | 'failed';
  pid: number | null;
  generation: number;
  restarts: number;
  memoryBytes: number | null;
  lastError: string | null;
}

export interface QueueHealth {
  running: number;
  waiting: number;
  limit: number;
}

/** The only owner of "what is loaded". */
export interface Residency {
  /** The model with the capabilities and languages that its worker reports, if it is loaded; else unchanged. */
  inForce(model: Model): Model;
  status(): ResidentStatus;
  /** Reads memory and /proc only, in well under a millisecond. */
  health(): { worker: WorkerHealth; queue: QueueHealth };
  /** Loads the model and warms it up. On failure the previous model is loaded again, and the error says so. */
  load(model: Model): Promise<LoadReport>;
  /** Ends all workers and clears the selection; resolves when the processes are gone. Throws `worker_stuck`. */
  unload(): Promise<UnloadReport>;
  /** Unloads the model if it is loaded and runs `action` before anything can load it again. */
  whileUnloaded<T>(modelId: string, action: () => Promise<T>): Promise<T>;
  /**
   * Refuses the queue, drains the running jobs and ends the workers, all within `drainSeconds` and one more second. The
   * first call sets the limit.
   */
  close(drainSeconds: number): Promise<void>;
}

/** What the transcription service needs of the residency. */
export interface JobQueue extends Pick<Residency, 'inForce'> {
  /** Reserves a slot in the bounded queue. Throws `queue_full`, `shutting_down`. */
  reserve(): Reservation;
}

export interface Reservation {
  /** Queues the job and resolves when the engine has begun. `signal` cancels it at any time. Throws AsrproError. */
  start(
    request: JobRequest,
    signal: AbortSignal,
  ): Promise<{ model: string; segments: AsyncIterable<Segment>; result: Promise<JobResult> }>;
  /** Gives the slot back if the job was not started; idempotent. */
  release(): void;
}
