import { readFileSync } from 'node:fs';

/** Names a process beyond the life of its pid: pid and, on Linux, its start time in clock ticks since boot (else 0). */
export interface ProcessIdentity {
  pid: number;
  started: number;
}

export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, started: processStat(process.pid)?.startTime ?? 0 };
}

export function isAlive({ pid, started }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const found = processStat(pid);
  return found === null || (found.state !== 'Z' && found.startTime === started);
}

/**
 * State letter and start time of a process on Linux; null elsewhere. The start time tells a reused pid from the old one,
 * and a zombie is as good as gone: `kill(pid, 0)` sees neither.
 */
function processStat(pid: number): { state: string; startTime: number } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTime: Number(fields[19]) };
  } catch {
    return null;
  }
}
