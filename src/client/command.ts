import { fileURLToPath } from 'node:url';
import type { LaunchOptions } from './options.ts';

export interface Command {
  file: string;
  args: string[];
  env: NodeJS.ProcessEnv;
}

/** The command line and environment of a sidecar that listens on a free port and ends when this process ends. */
export function sidecarCommand(options: LaunchOptions): Command {
  const { binary, model, mock, home, apiKey, args = [], environment = process.env } = options;
  const env: NodeJS.ProcessEnv = {
    ...environment,
    ...(home === undefined ? {} : { ASRPRO_HOME: home }),
    ...(apiKey === undefined ? {} : { ASRPRO_SERVER_API_KEY: apiKey }),
  };
  const flags = [
    'serve',
    '--port',
    '0',
    '--watch-stdin',
    ...(model === undefined ? [] : ['--model', model]),
    ...(mock ? ['--mock'] : []),
    ...args,
  ];
  if (binary !== undefined) return { file: binary, args: flags, env };
  // With this variable, Electron's executable runs as plain Node.
  if (process.versions.electron !== undefined) env.ELECTRON_RUN_AS_NODE = '1';
  return { file: process.execPath, args: [packagedProgram(), ...flags], env };
}

/** The program is next to this file in the package, and in `src` in a checkout. */
function packagedProgram(): string {
  const program = import.meta.url.endsWith('.ts') ? '../main.ts' : './asrpro.cjs';
  return fileURLToPath(new URL(program, import.meta.url));
}
