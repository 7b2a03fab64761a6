import { vi } from 'vitest';

/** vi.waitFor gives up after one second by default. Starting a process takes longer than that on a busy machine. */
const LIMIT_MS = 20_000;

// Files that share a process run this file again.
if (vi.waitFor.name !== 'waitLonger') {
  const { waitFor } = vi;
  vi.waitFor = function waitLonger(fact, options = {}) {
    return waitFor(fact, typeof options === 'number' ? options : { timeout: LIMIT_MS, ...options });
  };
}
