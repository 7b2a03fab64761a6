import type { Model } from '../models/model.ts';
import type { JobResult, Segment } from '../wire/messages.ts';
import type { JobOrder } from './job.ts';

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

/** Proof of an unload, made after the process is gone. */
export interface UnloadReport {
  /** null when nothing was loaded. */
  unloaded: string | null;
  memory: {
    /** Resident memory of the worker before. */
    beforeBytes: number;
    /** What the system has back. */
    returnedBytes: number;
    workerExited: true;
    exitSeconds: number;
    /** What the machine can give to programs, before and after (Linux `MemAvailable`); null elsewhere. */
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
  status(): ResidentStatus;
  /** From memory and /proc, in well under a millisecond. */
  health(): { worker: WorkerHealth; queue: QueueHealth };
  /** Makes the model the resident one, warmed up. On failure the one before is loaded again and the error says so. */
  load(model: Model): Promise<LoadReport>;
  /** Ends the worker; resolves after the process is gone. */
  unload(): Promise<UnloadReport>;
  /** Unloads the model if it is loaded and runs `action` before anything can load it again. */
  whileUnloaded<T>(modelId: string, action: () => Promise<T>): Promise<T>;
  /** Drains running jobs for at most so long, then ends the worker. */
  close(drainSeconds: number): Promise<void>;
}

/** Job side of the residency, for the transcription service. */
export interface Jobs {
  /** Takes a place in the bounded queue. Throws `queue_full`, `shutting_down`. */
  reserve(): Reservation;
  /** Id of the model that a request without one gets: loaded, being loaded, or next to be; null when there is none. */
  intendedModel(): string | null;
}

export interface Reservation {
  /** Queues the job and resolves when the engine has begun. `signal` cancels at any point. Throws AsrproError. */
  start(
    order: JobOrder,
    signal: AbortSignal,
  ): Promise<{ segments: AsyncIterable<Segment>; result: Promise<JobResult> }>;
  /** Gives the place back; idempotent. */
  release(): void;
}
