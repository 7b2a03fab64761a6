import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { checkout, mainProgram } from './checkout.ts';
import { installClusterForTests, installNemoForTests, oneAtATime, sharedHome } from './shared-home.ts';

const locks = path.join(checkout, 'python-runtime', 'locks');
const windows = process.platform === 'win32';

/**
 * A Python with pytest, ruff and mypy that also sees the packages of the `core` engine environment, so that the worker's
 * tests run on what users have.
 */
export async function pythonWithTools(): Promise<string> {
  return await pythonWith('dev.txt', { seesCore: true });
}

/** A Python with the packages of a lock file. It is created once for each pair of lock file and engine environment. */
export async function pythonWith(lock: string, { seesCore = false } = {}): Promise<string> {
  const core = await interpreter('core');
  const lockFile = path.join(locks, lock);
  const key = createHash('sha256').update(readFileSync(lockFile)).update(core).digest('hex').slice(0, 16);
  const folder = path.join(sharedHome, 'python-tools', key);
  const isComplete = () => existsSync(path.join(folder, 'complete'));
  if (!isComplete()) {
    await oneAtATime('python-tools', async () => {
      if (!isComplete()) await create(folder, core, lockFile, seesCore);
    });
  }
  return interpreterIn(folder);
}

/**
 * The command that runs a module of these tools in another engine environment. The packages of that environment come
 * first, so that the tests run on what users have.
 *
 * @returns the program and its arguments; the arguments of the module follow them.
 */
export async function toolsIn(
  environment: 'nemo' | 'cluster',
  module: string,
): Promise<{ file: string; args: string[] }> {
  const tools = await sitePackages(await pythonWithTools());
  await (environment === 'nemo' ? installNemoForTests() : installClusterForTests());
  const code = `import sys, runpy; sys.path.append(${JSON.stringify(tools)}); runpy.run_module('${module}', run_name='__main__')`;
  return { file: await interpreter(environment), args: ['-s', '-c', code] };
}

async function create(folder: string, core: string, lockFile: string, seesCore: boolean): Promise<void> {
  const building = `${folder}.building`;
  rmSync(building, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.dirname(folder), { recursive: true });
  const output = { stdio: ['ignore', process.stderr, process.stderr] } as const;
  await execa(core, ['-m', 'venv', building], output);
  const pip = ['-m', 'pip', 'install', '--quiet', '--require-hashes', '--requirement', lockFile];
  await execa(interpreterIn(building), pip, output);
  if (seesCore) {
    const packages = await sitePackages(interpreterIn(building));
    writeFileSync(path.join(packages, 'core-engine.pth'), `${await sitePackages(core)}\n`);
  }
  writeFileSync(path.join(building, 'complete'), '');
  renameSync(building, folder);
}

/** To ask the program takes half a second, and most files need the answer several times. */
const interpreters = new Map<string, Promise<string>>();

/** The interpreter of an engine environment in the shared home. */
export function interpreter(engine: 'core' | 'nemo' | 'cluster'): Promise<string> {
  const known = interpreters.get(engine);
  if (known !== undefined) return known;
  const asked = execa(process.execPath, [mainProgram, 'setup', engine, '--json'], {
    env: { ASRPRO_HOME: sharedHome },
    stderr: 'inherit',
  }).then(({ stdout }) => (JSON.parse(stdout) as { python: string }).python);
  interpreters.set(engine, asked);
  return asked;
}

async function sitePackages(python: string): Promise<string> {
  const { stdout } = await execa(python, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']);
  return stdout;
}

function interpreterIn(environment: string): string {
  return windows ? path.join(environment, 'Scripts', 'python.exe') : path.join(environment, 'bin', 'python');
}
