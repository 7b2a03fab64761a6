import type { Command } from './command.ts';

/** Every command, in the order of `asrpro --help`. Loaded on use, so that one command does not pay for the others. */
export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  config: async () => (await import('./config.ts')).config,
};
