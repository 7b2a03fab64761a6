import { readFileSync } from 'node:fs';

/** How a worker process ended. */
export interface ExitReport {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Who ended it: this gateway, the process itself (a crash is its own doing), or somebody outside, such as the kernel. */
  endedBy: 'us' | 'itself' | 'outside';
  /** The system or the allocator had no memory left for it. */
  outOfMemory: boolean;
  /** The last lines it wrote, for the log and the error message. */
  lastWords: string;
}

/** Signals that come from another process; a process that crashes gets SIGSEGV, SIGABRT and their like. */
const SENT_BY_OTHERS: ReadonlySet<NodeJS.Signals> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']);

/**
 * Judges an end where it is seen. Memory is blamed for no end that we brought about: after any kill for memory on this
 * machine each of our own kills used to be called `out_of_memory`.
 *
 * @param signalled whether we sent a signal to it.
 * @param killedForMemory whether the kernel's count of such kills has grown.
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
    (endedBy === 'itself' && speaksOfMemory(lastWords));
  return { code, signal, endedBy, outOfMemory, lastWords };
}

/** The end of a worker in words, as the middle of a sentence: "was ended by SIGKILL". */
export function describeExit(exit: ExitReport): string {
  if (exit.outOfMemory) return 'ran out of memory';
  if (exit.signal !== null) return `was ended by ${exit.signal}`;
  if (exit.code === 0) return 'ended by itself';
  return `ended with exit code ${exit.code}`;
}

/** The processes that the kernel has killed for memory, on the machine and in the control group (Linux; 0 elsewhere). */
export function oomKills(): number {
  return count('/proc/vmstat') + count('/sys/fs/cgroup/memory.events');
}

/**
 * The last line of what a process wrote, fit for an answer: no folder of this machine, nothing that looks like a key,
 * not long. Empty where it wrote nothing.
 */
export function publicWords(lastWords: string): string {
  const line = lastWords.trim().split('\n').at(-1)!.trim();
  const harmless = line
    .replaceAll(/(['"])(?:[A-Za-z]:)?[\\/][^'"]*[\\/]([^'"\\/]+)\1/g, '$1$2$1')
    .replaceAll(/(?:[A-Za-z]:)?(?:[\\/][^\s\\/'"():;,]+)+[\\/]([^\s\\/'"():;,]+)/g, '$1')
    .replaceAll(/[\w.+=-]*\d[\w.+=-]{23,}|[\w.+=-]{24,}\d[\w.+=-]*/g, '…');
  return harmless.length > 200 ? `${harmless.slice(0, 200)}…` : harmless;
}

/** Whether the last words are those of an allocator that gave up. */
function speaksOfMemory(lastWords: string): boolean {
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
