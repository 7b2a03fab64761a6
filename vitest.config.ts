import path from 'node:path';
import { defineConfig } from 'vitest/config';

/** Tests of these rooms need the Python environment and real models; they are installed before the first one runs. */
const real = ['test/e2e/**/*.test.ts', 'test/sdk/**/*.test.ts', 'test/**/*.real.test.ts'];

/** Every test has a home of its own; with the program compiled once for all, a start takes half the CPU time. */
const env = { NODE_COMPILE_CACHE: path.join(import.meta.dirname, 'node_modules', '.cache', 'compiled') };

export default defineConfig({
  test: {
    allowOnly: false,
    projects: [
      {
        test: {
          name: 'quick',
          env,
          // They wait for processes and sockets more than they compute.
          maxWorkers: 3,
          include: ['test/**/*.test.ts'],
          exclude: real,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'real',
          env,
          include: real,
          globalSetup: ['test/setup/install.ts'],
          // Each starts engines that take all cores.
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
