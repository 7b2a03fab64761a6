import type { ModelEngine } from '../engine-table.ts';
import type { WorkerLink } from '../wire/link.ts';
import type { ExitReport } from './exit.ts';
import type { Footprint } from './memory.ts';

/** A started worker process and the link to it. The mock has no process. */
export interface WorkerHandle {
  readonly pid: number | null;
  readonly link: WorkerLink;
  /** The token that its `hello` must carry. */
  readonly token: string;
  /** Settles when the process exits, not when its pipes close: a grandchild may keep those open. */
  readonly exited: Promise<ExitReport>;
  /** Signals the process group. Does nothing after the exit, when the group's id may belong to another process. */
  signal(signal: 'SIGTERM' | 'SIGKILL'): void;
  /** Releases a killed process that does not exit, so that it does not keep the gateway from exiting. */
  abandon(): void;
  /** Memory that its exit frees, in bytes; null: unknown. Cheap enough for every `/health`. */
  memoryBytes(): number | null;
  /** The memory that it and its child processes hold now. */
  footprint(): Footprint;
}

/** Throws AsrproError: `engine_not_installed`, `worker_start_failed`. */
export type StartWorker = (engine: ModelEngine, generation: number) => Promise<WorkerHandle>;
