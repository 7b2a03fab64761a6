#!/usr/bin/env node
/**
 * `npx asrpro`: in a clone the source, as what was built of it may be older; in the npm package, which has no source, the
 * program in one file.
 */
import { existsSync } from 'node:fs';

const bootstrap = new URL('../src/bootstrap.mjs', import.meta.url);
if (existsSync(bootstrap)) {
  process.argv.splice(2, 0, 'src/main.ts');
  await import(bootstrap.href);
} else {
  await import('../dist/asrpro.cjs');
}
