import type { Command } from './command.ts';

/** Every command, in the order of `asrpro --help`. Each is loaded on use, so that a command does not load the others. */
export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.ts')).serve,
  setup: async () => (await import('./setup.ts')).setup,
  transcribe: async () => (await import('./transcribe.ts')).transcribe,
  models: async () => (await import('./models.ts')).models,
  show: async () => (await import('./show.ts')).show,
  rm: async () => (await import('./rm.ts')).rm,
  pull: async () => (await import('./pull.ts')).pull,
  doctor: async () => (await import('./doctor.ts')).doctor,
  cluster: async () => (await import('./cluster.ts')).cluster,
  config: async () => (await import('./config.ts')).config,
};
