import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';

/**
 * Resident memory of a process in bytes, from /proc in some microseconds; null where the system has no /proc or the
 * process is gone.
 */
export function residentBytes(pid: number | null): number | null {
  if (pid === null) return null;
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return null;
  }
}

/** Memory that the machine can still give, in bytes (Linux `MemAvailable`); null elsewhere. */
export function availableBytes(): number | null {
  try {
    const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1];
    return kib === undefined ? null : Math.min(Number(kib) * 1024, totalmem());
  } catch {
    return null;
  }
}

/**
 * Free memory of an NVIDIA GPU in bytes; null for other devices or when the driver's tool does not answer within 5 s
 * (it can hang without persistence mode).
 */
export async function gpuFreeBytes(device: string | null): Promise<number | null> {
  if (device === null || !device.startsWith('cuda')) return null;
  const { execa } = await import('execa');
  const index = device.split(':')[1] ?? '0';
  const { stdout, failed } = await execa(
    'nvidia-smi',
    ['--query-gpu=memory.free', '--format=csv,noheader,nounits', `--id=${index}`],
    { reject: false, timeout: 5000 },
  );
  const mib = Number.parseInt(stdout ?? '', 10);
  return failed || Number.isNaN(mib) ? null : mib * 1024 * 1024;
}
