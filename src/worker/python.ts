import path from 'node:path';
import { pythonEnvironment } from '../python-environment.ts';
import { CARD_ORDER } from './card-order.ts';
import type { WorkerCommand } from './process.ts';

/**
 * glibc's allocator for the worker: one arena, and freed memory is kept instead of returned and fetched again. Measured
 * on 2 cores with whisper-base: 17 to 20 % less CPU for the same text, 36 MB more at the peak, which ends with the
 * process.
 */
const ALLOCATOR = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '1073741824',
  MALLOC_TRIM_THRESHOLD_: '2147483648',
  MALLOC_TOP_PAD_: '67108864',
};

/**
 * GNU OpenMP, which CTranslate2 brings along: threads that wait for work spin for some microseconds and then sleep, so
 * that jobs side by side do not burn each other's time. Measured on 2 cores, interleaved: 8 % less time than with sleep
 * at once, for a job alone and for two, and 6 to 8 % less than with the library's own number.
 */
const THREADS = { GOMP_SPINCOUNT: '1000' };

/**
 * The command line of the Python worker. User site-packages are left out, so that only the environment's own packages
 * count.
 *
 * Where ASRPRO_TEST_MLX names a folder, the worker imports its `mlx`, the stand-in for a Mac's; only the project's own tests,
 * which run on Linux, set it.
 *
 * @param env of the engine: its libraries.
 * @param runtimeRoot folder that holds `src/asrpro_worker`.
 * @param environment the user's.
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
    env: pythonOfOurs(runtimeRoot, { ...environment, ...ALLOCATOR, ...THREADS, ...CARD_ORDER, ...env }),
  };
}

/** What a Python that runs modules of the runtime sees. */
export function pythonOfOurs(runtimeRoot: string, environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...pythonEnvironment(environment),
    PYTHONPATH: [path.join(runtimeRoot, 'src'), environment.ASRPRO_TEST_MLX ?? []].flat().join(path.delimiter),
    PYTHONUNBUFFERED: '1',
    PYTHONIOENCODING: 'utf-8',
  };
}
