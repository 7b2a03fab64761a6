import { defineConfig } from 'vitest/config';

/** Tests of these rooms need the Python environment and real models; they are installed before the first one runs. */
const real = ['test/e2e/**/*.test.ts', 'test/sdk/**/*.test.ts', 'test/**/*.real.test.ts'];

export default defineConfig({
  test: {
    allowOnly: false,
    projects: [
      {
        test: {
          name: 'quick',
          include: ['test/**/*.test.ts'],
          exclude: real,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'real',
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
