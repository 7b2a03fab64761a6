import { readdirSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { cardOf } from './card-order.ts';

/** Memory that a worker held at one moment, with everything that it had started. */
export interface Footprint {
  /** Bytes that come back with the end; null where the system does not tell. */
  readonly bytes: number | null;
  /** How many of the bytes are still held by processes of then. Waits a moment for those that are just ending. */
  remaining(): Promise<number>;
}

/** How long processes that were killed together with the worker may take to be gone, in milliseconds. */
const GONE_MS = 1000;
const LOOK_MS = 10;

/** @param pid leader of a process group. */
export function footprintOf(pid: number): Footprint {
  const family = familyOf(pid);
  const bytes = family.length === 0 ? null : family.reduce((sum, member) => sum + privateBytes(member.pid), 0);
  const held = (): number => family.filter(lives).reduce((sum, member) => sum + privateBytes(member.pid), 0);
  return {
    bytes,
    async remaining() {
      for (let waited = 0; held() > 0 && waited < GONE_MS; waited += LOOK_MS) await pause(LOOK_MS);
      return held();
    },
  };
}

/**
 * Memory that comes back with the end of a process, in bytes; null without /proc or when it is gone. Not its resident
 * size: a third of that is pages of libraries, which the system counts as available anyway.
 */
export function ownBytes(pid: number): number | null {
  const status = read(`/proc/${pid}/status`);
  if (status === null) return null;
  // Not every emulation of Linux (gVisor) tells the kinds of pages apart.
  return (kibibytes(status, 'RssAnon') || kibibytes(status, 'VmRSS')) + kibibytes(status, 'VmSwap');
}

/**
 * Memory that the machine can still give, in bytes; null where it does not tell (all but Linux). `MemAvailable` leaves out
 * the free pages on the lists of single CPUs, where the kernel (since 6.7) keeps most of what an ended process held for
 * some seconds: of 215 MB, `MemAvailable` grew by anything from 0 to 215 MB, and by 215 MB with those lists.
 */
export function availableBytes(): number | null {
  const memory = read('/proc/meminfo');
  if (memory === null) return null;
  const lists = [...(read('/proc/zoneinfo') ?? '').matchAll(/^\s+count:\s+(\d+)$/gm)];
  const pages = lists.reduce((sum, [, count]) => sum + Number(count), 0);
  return Math.min(kibibytes(memory, 'MemAvailable') + pages * pageBytes(), totalmem());
}

/**
 * Free memory of an NVIDIA GPU in bytes; null for other devices or when the driver's tool does not answer within 5 s
 * (it can hang without persistence mode).
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

/** As `ownBytes`, without the pages that it shares with a process that it was forked from; takes milliseconds a gigabyte. */
function privateBytes(pid: number): number {
  const rollup = read(`/proc/${pid}/smaps_rollup`) ?? '';
  return kibibytes(rollup, 'Private_Dirty') + kibibytes(rollup, 'Swap');
}

/** Of the processor: the kernel counts in pages. */
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

/** The group's processes, and descendants that have left it. Empty without /proc. */
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

/** null for one that is gone, or dead and only not yet waited for. */
function memberOf(pid: number): Member | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The program's name, in brackets, may hold anything. Fields 3, 4, 5 and 22 of proc_pid_stat(5).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z') return null;
  return { pid, parent: Number(fields[1]), group: Number(fields[2]), started: fields[19]! };
}

/** The number of kB behind a name, in bytes; 0 where there is none. */
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
