import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { inject } from 'vitest';
import { buildExecutable } from '../../packaging/executable.ts';
import { dist } from '../../packaging/places.ts';
import { executableName, hostTarget, type Target } from '../../packaging/targets.ts';
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

/** The path of the executable for a target, which is built once in a test run. No test may change the file. */
export async function executableFor(target: Target): Promise<string> {
  if (target === hostTarget()) {
    await buildOnce();
    return path.join(dist, executableName(target));
  }
  const into = inject('executables');
  const file = path.join(into, executableName(target));
  const complete = `${file}.complete`;
  await oneAtATime(`build-${target.triple}`, async () => {
    if (existsSync(complete)) return;
    await buildExecutable(target, { into });
    writeFileSync(complete, '');
  });
  return file;
}
