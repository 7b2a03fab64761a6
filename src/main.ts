#!/usr/bin/env node
/** Entry point of the program: `asrpro COMMAND`. */
import { mkdirSync } from 'node:fs';
import module from 'node:module';
import path from 'node:path';
import { resolvePaths } from './config/paths.ts';

keepCompiledCode();

import('./cli/run.ts').then(async ({ runCommandLine }) => {
  process.exitCode = await runCommandLine(process.argv.slice(2), process.env);
});

/**
 * Node's cache of compiled code halves the time until the gateway is ready; Node 20 does not have it. Without a writable
 * folder the program starts without the cache, and the command reports the folder if it needs it.
 */
function keepCompiledCode(): void {
  try {
    const folder = process.env.NODE_COMPILE_CACHE ?? path.join(resolvePaths().cache, 'compiled');
    // Node would create parent folders, such as ASRPRO_HOME, readable by every user.
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    module.enableCompileCache?.(folder);
  } catch {}
}
