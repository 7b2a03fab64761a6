import { vi } from 'vitest';

/** vi.waitFor gives up after one second by default. Starting a process takes longer than that on a busy machine. */
const LIMIT_MS = 20_000;

const { waitFor } = vi;
vi.waitFor = (fact, options = {}) =>
  waitFor(fact, typeof options === 'number' ? options : { timeout: LIMIT_MS, ...options });
