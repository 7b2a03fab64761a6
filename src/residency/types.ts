import type { Model } from '../models/model.ts';
import type { JobResult, Segment } from '../wire/messages.ts';
import type { JobRequest } from './job.ts';

/** What is loaded, as `GET /v1/settings/model` shows it. */
export interface ResidentStatus {
  /** The model that is loaded, being loaded or being unloaded; null when none is. */
  model: string | null;
  status: 'loaded' | 'loading' | 'unloading' | 'none';
  device: string | null;
  computeType: string | null;
  memoryBytes: number | null;
  loadSeconds: number | null;
}

export interface LoadReport extends ResidentStatus {
  /** The model that was loaded before; null when none was. */
  previous: string | null;
}

/** Proof of an unload, measured before, and again after the process is gone, whoever ended it. */
export interface UnloadReport {
  /** null when nothing was loaded. */
  unloaded: string | null;
  memory: {
    /** Memory that comes back with the end of the worker and of what it had started. */
    beforeBytes: number;
    /** The part of it that none of those processes holds any more. */
    returnedBytes: number;
    workerExited: true;
    exitSeconds: number;
    /** What the machine can give to programs, before and after; null where it does not tell (all but Linux). */
    systemAvailableBeforeBytes: number | null;
    systemAvailableAfterBytes: number | null;
    /** NVIDIA only: free memory of the GPU before and after; null elsewhere. */
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
  /** The model with what it can do and knows as its loaded worker says it, where it is the loaded one. */
  inForce(model: Model): Model;
  status(): ResidentStatus;
  /** From memory and /proc, in well under a millisecond. */
  health(): { worker: WorkerHealth; queue: QueueHealth };
  /** Makes the model the resident one, warmed up. On failure the one before is loaded again and the error says so. */
  load(model: Model): Promise<LoadReport>;
  /**
   * Ends all workers and forgets which model was selected; resolves after the processes are gone. Throws `worker_stuck`
   * when one was killed and does not end.
   */
  unload(): Promise<UnloadReport>;
  /** Unloads the model if it is loaded and runs `action` before anything can load it again. */
  whileUnloaded<T>(modelId: string, action: () => Promise<T>): Promise<T>;
  /**
   * Refuses what waits, drains running jobs and ends the workers, all of it within so many seconds and one more. The first
   * call sets the limit.
   */
  close(drainSeconds: number): Promise<void>;
}

/** Job side of the residency, for the transcription service. */
export interface Jobs extends Pick<Residency, 'inForce'> {
  /** Takes a place in the bounded queue. Throws `queue_full`, `shutting_down`. */
  reserve(): Reservation;
}

export interface Reservation {
  /** Queues the job and resolves when the engine has begun. `signal` cancels at any point. Throws AsrproError. */
  start(
    request: JobRequest,
    signal: AbortSignal,
  ): Promise<{ model: string; segments: AsyncIterable<Segment>; result: Promise<JobResult> }>;
  /** Gives the place back; idempotent. */
  release(): void;
}
