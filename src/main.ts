#!/usr/bin/env node
/** The program's entry: `asrpro COMMAND`. */
import module from 'node:module';
import path from 'node:path';
import { resolvePaths } from './config/paths.ts';

// Compiled code kept from the last start halves the time to ready. Node 20 has no such cache.
module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE ?? path.join(resolvePaths().cache, 'compiled'));

import('./cli/run.ts').then(async ({ runCommandLine }) => {
  process.exitCode = await runCommandLine(process.argv.slice(2), process.env);
});
