import { readFileSync } from 'node:fs';

/** How a worker process ended. */
export interface ExitReport {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Who ended it: this gateway, the process itself (a crash), or another process or the kernel. */
  endedBy: 'us' | 'itself' | 'outside';
  /** The kernel killed it for memory, or its allocator failed. */
  outOfMemory: boolean;
  /** The last lines of its output, for the log and the error message. */
  lastWords: string;
}

/** Signals sent by other processes. A crash raises SIGSEGV, SIGABRT and the like. */
const SENT_BY_OTHERS: ReadonlySet<NodeJS.Signals> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']);

/**
 * An exit that the gateway caused is never `outOfMemory`: after any OOM kill on this machine, each of the gateway's own
 * kills used to be reported as one. @param signalled whether the gateway sent a signal. @param killedForMemory whether
 * the kernel's count of OOM kills has grown.
 */
export function judgeExit(
  { code, signal, lastWords }: Pick<ExitReport, 'code' | 'signal' | 'lastWords'>,
  signalled: boolean,
  killedForMemory: () => boolean,
): ExitReport {
  const outside = signal !== null && SENT_BY_OTHERS.has(signal);
  const endedBy = signalled ? 'us' : outside ? 'outside' : 'itself';
  const outOfMemory =
    (endedBy === 'outside' && signal === 'SIGKILL' && killedForMemory()) ||
    (endedBy === 'itself' && reportsAllocationFailure(lastWords));
  return { code, signal, endedBy, outOfMemory, lastWords };
}

/** Describes an exit as a verb phrase: "was ended by SIGKILL". */
export function describeExit(exit: ExitReport): string {
  if (exit.outOfMemory) return 'ran out of memory';
  if (exit.signal !== null) return `was ended by ${exit.signal}`;
  if (exit.code === 0) return 'ended by itself';
  return `ended with exit code ${exit.code}`;
}

/** OOM kills by the kernel, on the machine and in the control group (Linux; 0 elsewhere). */
export function oomKills(): number {
  return count('/proc/vmstat') + count('/sys/fs/cgroup/memory.events');
}

/** The last line of a process's output for an API error: without folders and likely keys, at most 200 characters. */
export function publicLastLine(lastWords: string): string {
  const line = lastWords.trim().split('\n').at(-1)!.trim();
  const harmless = line
    .replaceAll(/(['"])(?:[A-Za-z]:)?[\\/][^'"]*[\\/]([^'"\\/]+)\1/g, '$1$2$1')
    .replaceAll(/(?:[A-Za-z]:)?(?:[\\/][^\s\\/'"():;,]+)+[\\/]([^\s\\/'"():;,]+)/g, '$1')
    .replaceAll(/[\w.+=-]*\d[\w.+=-]{23,}|[\w.+=-]{24,}\d[\w.+=-]*/g, '…');
  return harmless.length > 200 ? `${harmless.slice(0, 200)}…` : harmless;
}

/** Whether the output ends with the error of an allocator. */
function reportsAllocationFailure(lastWords: string): boolean {
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
