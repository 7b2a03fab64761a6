import { readdirSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { cardOf } from './card-order.ts';

/** Memory that a worker held at one moment, with everything that it had started. */
export interface Footprint {
  /** Bytes that nobody shares, so that they come back with the end; null where the system does not tell. */
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

/** Resident memory of a process in bytes; null where the system has no /proc or the process is gone. */
export function residentBytes(pid: number): number | null {
  const kib = read(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB$/m);
  return kib === null ? null : kib * 1024;
}

/** Memory that the machine can still give, in bytes (Linux `MemAvailable`); null elsewhere. */
export function availableBytes(): number | null {
  const kib = read('/proc/meminfo', /^MemAvailable:\s+(\d+) kB$/m);
  return kib === null ? null : Math.min(kib * 1024, totalmem());
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

/** Pages that this process alone has. Those of libraries that another process has mapped too stay with that one. */
function privateBytes(pid: number): number {
  const file = `/proc/${pid}/smaps_rollup`;
  const clean = read(file, /^Private_Clean:\s+(\d+) kB$/m) ?? 0;
  return (clean + (read(file, /^Private_Dirty:\s+(\d+) kB$/m) ?? 0)) * 1024;
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
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The program's name, in brackets, may hold anything. Fields 3, 4, 5 and 22 of proc_pid_stat(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return null;
    return { pid, parent: Number(fields[1]), group: Number(fields[2]), started: fields[19]! };
  } catch {
    return null;
  }
}

function read(file: string, pattern: RegExp): number | null {
  try {
    const found = pattern.exec(readFileSync(file, 'latin1'))?.[1];
    return found === undefined ? null : Number(found);
  } catch {
    return null;
  }
}
