import path from 'node:path';
import { pythonEnvironment } from '../python-environment.ts';
import { CARD_ORDER } from './card-order.ts';
import type { WorkerCommand } from './process.ts';

/**
 * glibc's allocator uses one arena and keeps freed blocks under 2 MB, which saves 17 to 20 % of the CPU time with
 * whisper-base on two cores. Larger blocks go back to the system: in the arena they left 200 MB of holes. Huge pages
 * make up for the time that this costs. A limit of 1 MB took 10 % more CPU time.
 */
const ALLOCATOR = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '2000000',
  MALLOC_TRIM_THRESHOLD_: '2147483648',
  MALLOC_TOP_PAD_: '4194304',
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
};

/**
 * Idle threads of GNU OpenMP, which CTranslate2 includes, spin for some microseconds and then sleep, so that concurrent
 * jobs do not waste each other's CPU time. Measured on 2 cores, interleaved: 8 % less time than without spinning, for
 * one job and for two, and 6 to 8 % less than with the library's default.
 */
const THREADS = { GOMP_SPINCOUNT: '1000' };

/**
 * The command that starts the Python worker. `-s` leaves out the user's site-packages. @param env library paths of the
 * engine. @param runtimeRoot folder that contains `src/asrpro_worker`.
 */
export function pythonWorker(
  python: string,
  env: Record<string, string>,
  runtimeRoot: string,
  environment: NodeJS.ProcessEnv,
): WorkerCommand {
  return {
    file: python,
    args: ['-s', '-m', 'asrpro_worker'],
    env: runtimeEnvironment(runtimeRoot, { ...environment, ...ALLOCATOR, ...THREADS, ...CARD_ORDER, ...env }),
  };
}

/** The environment of a Python that runs modules of the runtime. ASRPRO_TEST_MLX is explained in docs/devices.md. */
export function runtimeEnvironment(runtimeRoot: string, environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...pythonEnvironment(environment),
    PYTHONPATH: [path.join(runtimeRoot, 'src'), environment.ASRPRO_TEST_MLX ?? []].flat().join(path.delimiter),
    PYTHONUNBUFFERED: '1',
    PYTHONIOENCODING: 'utf-8',
  };
}
