/** CPU time and memory of a process and its descendants, read from /proc. It works only on Linux, like the bench. */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks of /proc/PID/stat in a second. */
const TICKS = 100;

interface Stat {
  pid: number;
  parent: number;
  ticks: number;
}

/** Process ids of the process and its living descendants. */
export function tree(pid: number): number[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => stat(Number(name)) ?? []);
  const found = [pid];
  for (const known of found) found.push(...all.filter((one) => one.parent === known).map((one) => one.pid));
  return found;
}

/** CPU seconds, user and system, of the living processes of a tree and of their children that have ended. */
export function cpuSeconds(pid: number): number {
  return tree(pid).reduce((sum, one) => sum + (stat(one)?.ticks ?? 0), 0) / TICKS;
}

export interface Memory {
  /** Proportional set size: a shared page is divided among the processes that share it. */
  pss: number;
  /** Pages that no other process has. */
  private: number;
  /** The private pages that differ from the disk, so that the system cannot drop them. */
  dirty: number;
}

/** MB of a tree. */
export function memory(pid: number): Memory {
  const sum = { pss: 0, private: 0, dirty: 0 };
  for (const one of tree(pid)) {
    const text = contents(`/proc/${one}/smaps_rollup`);
    sum.pss += kilobytes(text, 'Pss');
    sum.dirty += kilobytes(text, 'Private_Dirty');
    sum.private += kilobytes(text, 'Private_Clean') + kilobytes(text, 'Private_Dirty');
  }
  return { pss: sum.pss / 1024, private: sum.private / 1024, dirty: sum.dirty / 1024 };
}

/** Peak resident memory in MB of the largest process of a tree. */
export function peak(pid: number): number {
  return Math.max(...tree(pid).map((one) => kilobytes(contents(`/proc/${one}/status`), 'VmHWM'))) / 1024;
}

function stat(pid: number): Stat | null {
  const text = contents(`/proc/${pid}/stat`);
  // The name in parentheses may hold spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (fields.length < 15) return null;
  const ticks = fields.slice(11, 15).reduce((sum, value) => sum + Number(value), 0);
  return { pid, parent: Number(fields[1]), ticks };
}

function kilobytes(text: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

function contents(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
