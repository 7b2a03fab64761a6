import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { buildExecutable } from '../../packaging/executable.ts';
import { dist } from '../../packaging/places.ts';
import { executableName, hostTarget, type Target } from '../../packaging/targets.ts';
import { checkout } from './checkout.ts';
import { oneAtATime, sharedHome } from './shared-home.ts';

/** What a build reads. The versions of its packages are in the lock file. */
const sources = [
  '{src,packaging,python-runtime/locks}/**',
  'python-runtime/src/**/*.py',
  'package.json',
  'package-lock.json',
  'LICENSE',
  'test/audio/english/jfk.flac',
];
/** A test run takes minutes, so builds that no test has used for this time belong to an earlier state of the sources. */
const UNUSED_MS = 3_600_000;

let hash: string | undefined;

/** A hash of everything that a build reads. */
function sourcesHash(): string {
  if (hash !== undefined) return hash;
  const files = sources.flatMap((pattern) => globSync(pattern, { cwd: checkout })).sort();
  const key = createHash('sha256').update(process.version);
  for (const file of files) {
    const whole = path.join(checkout, file);
    if (statSync(whole).isFile()) key.update(`\n${file}\n`).update(readFileSync(whole));
  }
  hash = key.digest('hex').slice(0, 16);
  return hash;
}

/** Builds dist/ as `npm run build` does, unless it was built from the same sources. */
export async function buildOnce(): Promise<void> {
  const builtFrom = path.join(dist, '.built-from');
  await oneAtATime('build', async () => {
    if (existsSync(builtFrom) && readFileSync(builtFrom, 'utf8') === sourcesHash()) return;
    await execa('npm', ['run', 'build'], { cwd: checkout });
    writeFileSync(builtFrom, sourcesHash());
  });
}

/** The path of the executable for a target, which is built once for each state of the sources. No test may change the file. */
export async function executableFor(target: Target): Promise<string> {
  if (target === hostTarget()) {
    await buildOnce();
    return path.join(dist, executableName(target));
  }
  const builds = path.join(sharedHome, 'executables');
  const into = path.join(builds, sourcesHash());
  const file = path.join(into, executableName(target));
  const complete = `${file}.complete`;
  await oneAtATime(`build-${target.triple}`, async () => {
    mkdirSync(into, { recursive: true });
    utimesSync(into, new Date(), new Date());
    removeUnused(builds);
    if (existsSync(complete)) return;
    await buildExecutable(target, { into });
    writeFileSync(complete, '');
  });
  return file;
}

function removeUnused(builds: string): void {
  for (const name of readdirSync(builds)) {
    const folder = path.join(builds, name);
    const used = statSync(folder, { throwIfNoEntry: false })?.mtimeMs;
    if (used !== undefined && Date.now() - used > UNUSED_MS) rmSync(folder, { recursive: true, force: true });
  }
}
