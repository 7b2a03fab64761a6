import type { Capabilities } from '../engine-table.ts';

/** The mock can everything that any engine can. */
export const mockCapabilities: Capabilities = {
  tasks: ['transcribe', 'translate'],
  wordTimestamps: true,
  logprobs: true,
};
