import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { inject } from 'vitest';
import { dist } from '../../packaging/places.ts';
import { checkout } from './checkout.ts';
import { oneAtATime } from './shared-home.ts';

/** Builds dist/ as `npm run build` does, once in a test run: a build removes what another test file uses. */
export async function buildOnce(): Promise<void> {
  const builtBy = path.join(dist, '.built-by');
  await oneAtATime('build', async () => {
    if (existsSync(builtBy) && readFileSync(builtBy, 'utf8') === inject('run')) return;
    await execa('npm', ['run', 'build'], { cwd: checkout });
    writeFileSync(builtBy, inject('run'));
  });
}
