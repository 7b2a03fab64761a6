import type { ModelEngine } from '../engine-table.ts';
import type { WorkerLink } from '../wire/link.ts';
import type { ExitReport } from './exit.ts';
import type { Footprint } from './memory.ts';

/** A started process and the wire to it, before it has said a word. The mock is one without a process. */
export interface WorkerHandle {
  readonly pid: number | null;
  readonly link: WorkerLink;
  /** What its `hello` must carry. */
  readonly token: string;
  /** Settles at the exit of the process, not at the end of its pipes: a grandchild may hold those. */
  readonly exited: Promise<ExitReport>;
  /** To the whole process group. Does nothing once the exit was seen: the number may belong to somebody else by then. */
  signal(signal: 'SIGTERM' | 'SIGKILL'): void;
  /** It was killed and does not end: it keeps this process from nothing any more. */
  abandon(): void;
  /** Memory that comes back with its end, in bytes; null when unknown. Cheap enough for every `/health`. */
  memoryBytes(): number | null;
  /** What it holds now, with all that it started. */
  footprint(): Footprint;
}

/** Throws AsrproError: `engine_not_installed`, `worker_start_failed`. */
export type StartWorker = (engine: ModelEngine, generation: number) => Promise<WorkerHandle>;
