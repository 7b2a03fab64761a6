import path from 'node:path';
import { defineConfig } from 'vitest/config';

/** These tests need the Python environment and real models. The global setup installs both before the first test. */
const real = ['test/e2e/**/*.test.ts', 'test/sdk/**/*.test.ts', 'test/**/*.real.test.ts'];

/** These tests start a Ray cluster, so that test/run.ts can run them when the cluster of the Python tests has ended. */
const clusters = ['test/e2e/cluster.test.ts'];

/** These tests have limits of one to three seconds, so nothing may compete with them for the cores. */
const timed = ['test/e2e/chaos.test.ts', 'test/e2e/death.test.ts', 'test/http/leaving.real.test.ts'];

const cache = path.join(import.meta.dirname, 'node_modules', '.cache');

/** The cache of compiled code is in ASRPRO_HOME, and each test has its own. A shared one halves the CPU time of a start. */
const env = { NODE_COMPILE_CACHE: path.join(cache, 'compiled') };

/** See test/setup/checkout.ts. On Windows only a real executable could be the binary. */
const program = {
  ASRPRO_TEST_PROGRAM: path.join(cache, 'asrpro.cjs'),
  ...(process.platform !== 'win32' && { ASRPRO_TEST_BINARY: path.join(cache, 'asrpro') }),
};

/** A test that checks nothing fails. A test that waits for a fact waits long enough for a busy machine. */
const strict = {
  expect: { requireAssertions: true, poll: { timeout: 20_000 } },
  setupFiles: ['test/setup/wait-for.ts'],
};

export default defineConfig({
  test: {
    allowOnly: false,
    projects: [
      {
        test: {
          name: 'quick',
          env: { ...env, ...program },
          ...strict,
          globalSetup: ['test/setup/build-program.ts'],
          // A fresh process for each file would import the same sources ninety times. So a test undoes what it changes
          // in its process (environment variables, spies), and no test replaces a module with vi.mock.
          isolate: false,
          sequence: { groupOrder: 0 },
          // They wait for processes and sockets more than they compute.
          maxWorkers: 3,
          include: ['test/**/*.test.ts'],
          exclude: real,
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'real',
          env,
          ...strict,
          include: real,
          exclude: [...timed, ...clusters],
          globalSetup: ['test/setup/install.ts'],
          sequence: { groupOrder: 1 },
          // Builds, installations and loads of models keep one core busy. Two files fill two cores.
          maxWorkers: 2,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'clusters',
          env,
          ...strict,
          include: clusters,
          globalSetup: ['test/setup/install.ts'],
          sequence: { groupOrder: 2 },
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'timed',
          env,
          ...strict,
          include: timed,
          globalSetup: ['test/setup/install.ts'],
          sequence: { groupOrder: 3 },
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
