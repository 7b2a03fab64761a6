import { readdirSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { cardOf } from './card-order.ts';

/** Memory that a worker and its child processes held at one moment. */
export interface Footprint {
  /** Bytes that their exit frees; null on systems without /proc. */
  readonly bytes: number | null;
  /** How many bytes those processes still hold. Waits up to a second for processes that are exiting. */
  remaining(): Promise<number>;
}

/** How long processes that were killed with the worker may take to exit, in milliseconds. */
const EXIT_MS = 1000;
const POLL_MS = 10;

/** @param pid leader of a process group. */
export function footprintOf(pid: number): Footprint {
  const family = familyOf(pid);
  const bytes = family.length === 0 ? null : family.reduce((sum, member) => sum + privateBytes(member.pid), 0);
  const held = (): number => family.filter(lives).reduce((sum, member) => sum + privateBytes(member.pid), 0);
  return {
    bytes,
    async remaining() {
      for (let waited = 0; held() > 0 && waited < EXIT_MS; waited += POLL_MS) await pause(POLL_MS);
      return held();
    },
  };
}

/**
 * Memory that the exit of a process frees, in bytes; null without /proc or when it has exited. Less than its resident
 * size, of which a third is pages of libraries that the system counts as available anyway.
 */
export function ownBytes(pid: number): number | null {
  const status = read(`/proc/${pid}/status`);
  if (status === null) return null;
  // gVisor, which emulates Linux, has no RssAnon.
  return (kibibytes(status, 'RssAnon') || kibibytes(status, 'VmRSS')) + kibibytes(status, 'VmSwap');
}

/**
 * Memory available to programs, in bytes; null on systems other than Linux. `MemAvailable` leaves out the free pages on
 * the per-CPU lists, where the kernel (since 6.7) keeps most of an exited process's memory for some seconds: after an
 * exit that freed 215 MB, `MemAvailable` grew by 0 to 215 MB, and together with those lists by 215 MB.
 */
export function availableBytes(): number | null {
  const memory = read('/proc/meminfo');
  if (memory === null) return null;
  const lists = [...(read('/proc/zoneinfo') ?? '').matchAll(/^\s+count:\s+(\d+)$/gm)];
  const pages = lists.reduce((sum, [, count]) => sum + Number(count), 0);
  return Math.min(kibibytes(memory, 'MemAvailable') + pages * pageBytes(), totalmem());
}

/**
 * Free memory of an NVIDIA GPU in bytes; null for other devices, or when nvidia-smi does not answer within 5 s (it can
 * hang without persistence mode).
 */
export async function gpuFreeBytes(device: string | null): Promise<number | null> {
  if (device === null || !device.startsWith('cuda')) return null;
  const { execa } = await import('execa');
  const { stdout, failed } = await execa(
    'nvidia-smi',
    ['--query-gpu=memory.free', '--format=csv,noheader,nounits', `--id=${cardOf(device, process.env)}`],
    { reject: false, timeout: 5000 },
  );
  const mib = Number.parseInt(stdout ?? '', 10);
  return failed || Number.isNaN(mib) ? null : mib * 1024 * 1024;
}

/** Like `ownBytes`, without pages shared with the process it was forked from. Takes milliseconds per gigabyte. */
function privateBytes(pid: number): number {
  const rollup = read(`/proc/${pid}/smaps_rollup`) ?? '';
  return kibibytes(rollup, 'Private_Dirty') + kibibytes(rollup, 'Swap');
}

/** The page size, in which the kernel counts. */
function pageBytes(): number {
  const vector = readFileSync('/proc/self/auxv');
  const AT_PAGESZ = 6n;
  for (let at = 0; at + 16 <= vector.length; at += 16) {
    if (vector.readBigUInt64LE(at) === AT_PAGESZ) return Number(vector.readBigUInt64LE(at + 8));
  }
  return 4096;
}

interface Member {
  pid: number;
  parent: number;
  group: number;
  started: string;
}

/** The processes of the group and all their descendants, also those that left the group. Empty without /proc. */
function familyOf(leader: number): Member[] {
  const all = processes();
  const family = all.filter(({ pid, group }) => pid === leader || group === leader);
  for (const member of family) {
    family.push(...all.filter((one) => one.parent === member.pid && !family.includes(one)));
  }
  return family;
}

function lives(member: Member): boolean {
  return memberOf(member.pid)?.started === member.started;
}

function processes(): Member[] {
  try {
    return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (memberOf(Number(name)) ?? []) : []));
  } catch {
    return [];
  }
}

/** null for an exited process or a zombie. */
function memberOf(pid: number): Member | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The program's name, in brackets, may contain any character. Fields 3, 4, 5 and 22 of proc_pid_stat(5).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z') return null;
  return { pid, parent: Number(fields[1]), group: Number(fields[2]), started: fields[19]! };
}

/** The value in kB after a name, converted to bytes; 0 when the name is missing. */
function kibibytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024;
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return null;
  }
}
