import path from 'node:path';
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
 * GNU OpenMP, which CTranslate2 brings along: threads that wait for work sleep instead of spinning. Measured beside
 * others on 2 cores: 10 % less CPU for the same text, and jobs side by side do not burn each other's time.
 */
const THREADS = { OMP_WAIT_POLICY: 'passive' };

/**
 * The command line of the Python worker. User site-packages are left out, so that only the environment's own packages
 * count; engines never look for models on the network.
 *
 * @param runtimeRoot folder that holds `src/asrpro_worker`.
 */
export function pythonWorker(python: string, env: Record<string, string>, runtimeRoot: string): WorkerCommand {
  return {
    file: python,
    args: ['-s', '-m', 'asrpro_worker'],
    env: {
      ...ALLOCATOR,
      ...THREADS,
      ...env,
      PYTHONPATH: path.join(runtimeRoot, 'src'),
      PYTHONUNBUFFERED: '1',
      PYTHONIOENCODING: 'utf-8',
      HF_HUB_OFFLINE: '1',
    },
  };
}
