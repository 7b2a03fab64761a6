import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { isAppleSilicon } from '../engine-table.ts';
import { pythonEnvironment } from '../python-environment.ts';
import { CARD_ORDER } from '../worker/card-order.ts';
import type { Device } from './types.ts';

/** A device as the system reports it, before an engine was tested on it. */
export type Detected = Omit<Device, 'engines' | 'usable'> & {
  present: boolean;
  /** Version of the driver, on which test outcomes depend; null: no driver, or an unknown version. */
  driver: string | null;
};

const probed = z.object({
  devices: z.array(z.object({ index: z.number(), name: z.string(), memory_bytes: z.number() })),
  driver: z.string().nullable(),
  reason: z.string().nullable(),
});

/** Timeout for the driver in milliseconds: without persistence mode it can hang. */
const DRIVER_MS = 10_000;

export function detectCpu(): Detected {
  const cores = os.cpus();
  const parts = [cores[0]?.model.trim() || os.arch(), `${os.availableParallelism()} cores`, ...instructionSets()];
  return {
    id: 'cpu',
    kind: 'cpu',
    name: parts.join(', '),
    memoryBytes: os.totalmem(),
    present: true,
    driver: null,
    reason: null,
  };
}

/** The instruction sets that the speed of the engines depends on, best last. Only Linux reports them without a tool. */
function instructionSets(): string[] {
  try {
    const flags = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' '));
    const known = {
      avx: 'AVX',
      avx2: 'AVX2',
      avx512f: 'AVX-512',
      avx512_vnni: 'VNNI',
      amx_int8: 'AMX',
      asimddp: 'NEON dot product',
    };
    return Object.entries(known).flatMap(([flag, name]) => (flags.has(flag) ? [name] : []));
  } catch {
    return [];
  }
}

/** The GPU of a Mac with Apple silicon. */
export function detectMps(environment: NodeJS.ProcessEnv): Detected {
  const present = isAppleSilicon(environment);
  const reason = present ? null : 'This is not a Mac with Apple silicon.';
  return {
    id: 'mps',
    kind: 'mps',
    name: 'Apple GPU',
    memoryBytes: null,
    present,
    driver: present ? os.release() : null,
    reason,
  };
}

/**
 * Whether there may be an NVIDIA driver. Checks a few files in well under a millisecond, so that a machine without a GPU
 * never starts the process that queries the driver.
 */
export function mayHaveCuda(environment: NodeJS.ProcessEnv): boolean {
  if (process.platform === 'win32')
    return existsSync(path.join(environment.SystemRoot ?? 'C:\\Windows', 'System32', 'nvcuda.dll'));
  if (process.platform !== 'linux') return false;
  const folders = (environment.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean);
  const libraries = [...folders, '/usr/lib/wsl/lib'].map((folder) => path.join(folder, 'libcuda.so.1'));
  return ['/dev/nvidiactl', '/proc/driver/nvidia/version', ...libraries].some((file) => existsSync(file));
}

/**
 * NVIDIA devices as the driver reports them; if there are none, one absent device with the reason.
 *
 * @param python any Python; it runs `script`.
 */
export async function detectCuda(
  python: () => Promise<{ python: string; env: Record<string, string> }>,
  script: string,
  environment: NodeJS.ProcessEnv,
): Promise<Detected[]> {
  if (!mayHaveCuda(environment)) return [absent('No NVIDIA driver was found.')];
  try {
    const { python: file, env } = await python();
    const { execa } = await import('execa');
    const { stdout } = await execa(file, ['-I', script], {
      env: pythonEnvironment({ ...environment, ...env, ...CARD_ORDER }),
      extendEnv: false,
      timeout: DRIVER_MS,
    });
    const { devices, driver, reason } = probed.parse(JSON.parse(stdout));
    if (devices.length === 0) return [absent(reason ?? 'The NVIDIA driver sees no GPU.')];
    return devices.map(({ index, name, memory_bytes }) => ({
      id: `cuda:${index}`,
      kind: 'cuda',
      name,
      memoryBytes: memory_bytes,
      present: true,
      driver,
      reason: null,
    }));
  } catch (error) {
    return [absent(`The NVIDIA driver does not answer: ${(error as Error).message.split('\n')[0]}`)];
  }
}

function absent(reason: string): Detected {
  return { id: 'cuda:0', kind: 'cuda', name: 'NVIDIA GPU', memoryBytes: null, present: false, driver: null, reason };
}
