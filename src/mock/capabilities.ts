import type { Capabilities } from '../engine-table.ts';

/** The mock supports everything that any engine supports. */
export const mockCapabilities: Capabilities = {
  tasks: ['transcribe', 'translate'],
  wordTimestamps: true,
  logprobs: true,
};
