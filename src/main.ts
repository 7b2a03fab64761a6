#!/usr/bin/env node
/** The program's entry: `asrpro COMMAND`. */
import { mkdirSync } from 'node:fs';
import module from 'node:module';
import path from 'node:path';
import { resolvePaths } from './config/paths.ts';

keepCompiledCode();

import('./cli/run.ts').then(async ({ runCommandLine }) => {
  process.exitCode = await runCommandLine(process.argv.slice(2), process.env);
});

/**
 * Compiled code kept from the last start halves the time to ready. Node 20 has no such cache. Without a folder for it the
 * program starts all the same: whether it needs one, the command says.
 */
function keepCompiledCode(): void {
  try {
    const folder = process.env.NODE_COMPILE_CACHE ?? path.join(resolvePaths().cache, 'compiled');
    // Node would make the folders above it, ASRPRO_HOME perhaps, readable by everybody.
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    module.enableCompileCache?.(folder);
  } catch {}
}
