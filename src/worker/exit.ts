import { readFileSync } from 'node:fs';

/** How a worker process ended. */
export interface ExitReport {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** We told it to end. */
  expected: boolean;
  /** The system or the allocator had no memory left for it. */
  outOfMemory: boolean;
  /** The last lines it wrote, for the log and the error message. */
  lastWords: string;
}

/** The end of a worker in words, as the middle of a sentence: "was ended by SIGKILL". */
export function describeExit(exit: ExitReport): string {
  if (exit.outOfMemory) return 'ran out of memory';
  if (exit.signal !== null) return `was ended by ${exit.signal}`;
  if (exit.code === 0) return 'ended by itself';
  return `ended with exit code ${exit.code}`;
}

/**
 * Counts the processes that the kernel killed for memory, machine and control group (Linux; 0 elsewhere). A SIGKILL
 * that nobody here sent, with this number grown, is an OOM kill.
 */
export function oomKills(): number {
  return count('/proc/vmstat') + count('/sys/fs/cgroup/memory.events');
}

/** Whether the last words are those of an allocator that gave up. */
export function speaksOfMemory(lastWords: string): boolean {
  return /MemoryError|std::bad_alloc|[Cc]annot allocate memory|CUDA out of memory|CUDA failed with error out of memory/.test(
    lastWords,
  );
}

function count(file: string): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(file, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
