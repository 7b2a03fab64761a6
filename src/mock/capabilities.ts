import type { Capabilities } from '../wire/messages.ts';

/** The mock can everything that any engine can. */
export const mockCapabilities: Capabilities = {
  tasks: ['transcribe', 'translate'],
  word_timestamps: true,
  logprobs: true,
  prompt: true,
  temperature: true,
  hotwords: true,
  detects_language: true,
  neutral: [],
};
