import { renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { freeBytes, makeFolder, megabytes, onDisk, type Place } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import { pythonEnvironment } from '../python-environment.ts';
import { broughtPython, fetchUv, findUv, type UvProgram } from './bring-uv.ts';
import { interpreterIn, MARKER } from './environment.ts';
import { findPython, type Python } from './find-python.ts';
import { asUvSettings, indexSettings } from './index-settings.ts';
import { installError, lastWords } from './install-error.ts';
import { type Ask, describe, removePackages, torchBuild } from './installed-packages.ts';
import { CPU_TORCH_INDEX, type Lock } from './lock.ts';
import { isNoexec } from './noexec.ts';
import { pipEnvironment, pipOf } from './pip.ts';
import { type Ended, runProgram } from './run-program.ts';
import { noexecError, smokeTest } from './smoke-test.ts';
import { tidy } from './tidy.ts';
import { uvEnvironment } from './uv.ts';
import { readWheelFolder } from './wheel-folder.ts';

export interface InstallerOptions {
  lock: Lock;
  /** Where the environment shall be. */
  folder: string;
  /** `worker.python`. */
  configuredPython: string | null;
  environment: NodeJS.ProcessEnv;
  /** The machine has an NVIDIA driver. */
  nvidia: boolean;
  /** A folder that all packages come from, without the network; null: from the person's index. */
  wheels: string | null;
  signal: AbortSignal;
  onProgress(step: string, packagesDone: number): void;
}

interface Running extends InstallerOptions {
  /** The environment in the making. */
  building: string;
  /** What the installers have told of, in all their runs. */
  collected: Set<string>;
}

/** How packages get into the environment: `uv pip install` or `python -m pip install`, and what it sees. */
interface PackageTool {
  tool: 'uv' | 'pip';
  file: string;
  args: readonly string[];
  environment: NodeJS.ProcessEnv;
}

/** Room that must be left beyond what is installed: both installers unpack beside their downloads. */
const SPARE_BYTES = 300_000_000;
/** Python scripts of ours that only look, in milliseconds. On a slow disk they read gigabytes. */
const LOOK_MS = 300_000;
/** An environment without packages is made within this time, also where uv fetches a Python for it. In milliseconds. */
const VENV_MS = 900_000;
/** In the environment: pip's temporary files, which would not fit on many a /tmp. */
const TEMPORARY = '.asrpro-tmp';

/** What uv shall bring to a machine without a Python that fits: the newest for which all packages have long been built. */
const BROUGHT = '>=3.10,<3.13';

/**
 * Makes an environment beside its final place and renames it there once its packages have been imported. The user's index,
 * proxy and certificate settings hold; other settings of Python, pip and uv do not reach it.
 *
 * Throws `python_not_found`, `python_too_old`, `disk_full`, `folder_unusable`, `engine_install_failed`,
 * `engine_install_cancelled`.
 */
export async function installEnvironment(given: InstallerOptions): Promise<void> {
  const { folder, lock, onProgress, signal } = given;
  const building = `${folder}.building`;
  const options: Running = { ...given, building, collected: new Set() };
  const place = placeOf(options);
  const remove = (): void => {
    for (const left of [building, `${building}-uv`]) rmSync(left, { recursive: true, force: true });
  };
  await makeFolder(path.dirname(folder), place);
  await onDisk(place, remove);
  requireSpace(path.dirname(folder), place.neededBytes!);
  if (isNoexec(path.dirname(folder))) throw noexecError();
  try {
    onProgress('looking for Python', 0);
    await installPackages(options);
    onProgress('compiling packages', lock.packages);
    await tidy(building, options.environment, signal);
    onProgress('checking the installation', lock.packages);
    const clean = pythonEnvironment(options.environment);
    await smokeTest(interpreterIn(building), lock.imports, building, clean, signal);
    await onDisk(place, () => rmSync(path.join(building, TEMPORARY), { recursive: true, force: true }));
    const marker = await describe(asking(options), lock.shown, options.nvidia);
    await onDisk(place, () => {
      writeFileSync(path.join(building, MARKER), JSON.stringify(marker, null, 2));
      rmSync(folder, { recursive: true, force: true });
      renameSync(building, folder);
    });
  } catch (error) {
    await onDisk(place, remove).catch(() => undefined);
    if (signal.aborted) throw new AsrproError('engine_install_cancelled', 'The installation was cancelled.');
    throw error;
  }
}

/** The folder of all engines, as messages name it. */
export function enginesPlace(folder: string): Place {
  return { name: 'the folder of the engines', folder, remedy: 'set ASRPRO_HOME to a folder on another disk' };
}

function placeOf({ folder, lock, nvidia }: InstallerOptions): Place {
  return {
    ...enginesPlace(path.dirname(folder)),
    neededBytes: (nvidia ? lock.cudaSizeBytes : lock.sizeBytes) + SPARE_BYTES,
  };
}

function requireSpace(folder: string, needed: number): void {
  const free = freeBytes(folder);
  if (free === null || free >= needed) return;
  throw new AsrproError(
    'disk_full',
    `The engine needs ${megabytes(needed)} of disk space; ${megabytes(free)} are free.`,
    { hint: 'Free some space, or set ASRPRO_HOME to a folder on another disk.' },
  );
}

/**
 * With uv where it is there, which is quicker and brings a Python; else, and where it fails, with pip; and on a machine
 * without a Python with a uv that is fetched first.
 */
async function installPackages(options: Running): Promise<void> {
  const { environment, signal, building } = options;
  const found = await findUv(path.dirname(building), environment, signal);
  if (found === null) return await installWithoutUv(options, found);
  let first: AsrproError;
  try {
    return await installWithUv(options, found);
  } catch (error) {
    if (!(error instanceof AsrproError) || error.code === 'engine_install_cancelled') throw error;
    if (error.param === 'worker.python') throw error;
    first = error;
  }
  await onDisk(placeOf(options), () => rmSync(building, { recursive: true, force: true }));
  options.onProgress('uv failed, going on without it', 0);
  await installWithoutUv(options, found).catch((error: AsrproError) => {
    if (!(error instanceof AsrproError) || error.code === 'engine_install_cancelled') throw error;
    if (error.message === first.message) throw error;
    // Without a Python, uv was the only way, so its reason is the one to know.
    const [one, other] = isPythonMissing(error) ? [first, error] : [error, first];
    const message = `${one.message} ${one === first ? 'And without uv' : 'Before that, with uv'}: ${other.message}`;
    throw new AsrproError(one.code, message, { ...(one.hint === null ? {} : { hint: one.hint }), cause: one });
  });
}

function isPythonMissing({ code }: AsrproError): boolean {
  return code === 'python_not_found' || code === 'python_too_old';
}

/** With the pip of a Python of the machine. Where it has none that fits, with a uv of our own, unless that is what failed. */
async function installWithoutUv(options: Running, failed: UvProgram | null): Promise<void> {
  const { building, configuredPython, environment, wheels, signal, onProgress } = options;
  let missing: AsrproError;
  try {
    return await installWithPip(options, await pythonFor(options));
  } catch (error) {
    // A folder of wheels has no uv, and there is no network.
    const isAlone =
      error instanceof AsrproError && isPythonMissing(error) && configuredPython === null && wheels === null;
    if (!isAlone || failed?.origin === 'fetched') throw error;
    missing = error;
  }
  const onStep = (step: string): void => onProgress(`${step} uv, which brings a Python`, 0);
  const engines = path.dirname(building);
  const uv = await fetchUv({ engines, place: placeOf(options), environment, signal, onStep }).catch(
    (error: AsrproError) => {
      if (!(error instanceof AsrproError) || error.code !== 'engine_install_failed') throw error;
      const message = `${missing.message.replace(/\.$/, '')}, and uv, which brings one, cannot be fetched: ${error.message}.`;
      const hint = `${error.hint ?? ''} Or install Python 3.10 or newer (python.org), or put \`uv\` on PATH.`.trim();
      throw new AsrproError(missing.code, message, { hint, cause: error });
    },
  );
  await installWithUv(options, uv);
}

/** Wheels in a folder are for one minor version of Python. */
async function pythonFor(options: Running): Promise<Python> {
  const { configuredPython, environment, wheels, signal } = options;
  const first = firstPython(options);
  if (first !== null && configuredPython === null && wheels === null) {
    const python = await findPython(null, environment, signal, first).catch((error: unknown) => {
      if (!(error instanceof AsrproError && isPythonMissing(error))) throw error;
      return null;
    });
    if (python !== null) return python;
  }
  const only = wheels === null ? null : readWheelFolder(wheels).python;
  return await findPython(configuredPython, environment, signal, only);
}

function firstPython({ lock, nvidia }: Running): string | null {
  return nvidia ? null : lock.cpuPython;
}

/** uv brings a Python where the machine has none. */
async function installWithUv(options: Running, uv: UvProgram): Promise<void> {
  const { building, environment, configuredPython, wheels, signal, onProgress } = options;
  const engines = path.dirname(building);
  const python = await pythonFor(options).then(
    ({ command }) => command,
    (error: AsrproError) => {
      if (configuredPython !== null || wheels !== null || signal.aborted) throw error;
      return null;
    },
  );
  // Who has no uv has told pip alone where packages are.
  const index = python === null || uv.origin !== 'person' ? await indexSettings(environment) : null;
  const seen = index === null ? environment : { ...environment, ...index.environment };
  using settings = await onDisk(placeOf(options), () =>
    uvEnvironment(seen, `${building}-uv`, index === null ? null : asUvSettings(index)),
  );
  const tool = { tool: 'uv', file: uv.file, environment: settings.environment } as const;
  const brought = python === null ? broughtPython(uv, engines, settings.environment) : null;
  if (brought !== null) onProgress('fetching Python', 0);
  const venv = [
    'venv',
    '--no-project',
    ...(brought?.args ?? []),
    '--python',
    python ?? firstPython(options) ?? BROUGHT,
    building,
  ];
  const making = { ...tool, args: [], environment: { ...settings.environment, ...brought?.environment } };
  await runInstaller(options, making, venv, VENV_MS);
  // A broken uv may say that all went well.
  await ask(options, ['pass']);
  const from = fromFolder(options.wheels);
  const args = ['pip', 'install', '--require-hashes', '--no-deps', ...from, '--python', interpreterIn(building), '-r'];
  await installFiles(options, { ...tool, args });
}

async function installWithPip(options: Running, python: Python): Promise<void> {
  const { building, environment, signal } = options;
  options.onProgress('making the environment', 0);
  await makeFolder(path.join(building, TEMPORARY), placeOf(options));
  const pip = await makeEnvironment(options, python);
  const settings = await onDisk(placeOf(options), () =>
    pipEnvironment(pip.file, 'install', environment, path.join(building, TEMPORARY), signal),
  );
  // Compiled at the end, all at once and with all cores.
  const quiet = ['--no-compile', '--no-input', '--progress-bar', 'off', ...fromFolder(options.wheels)];
  const install = ['install', '--require-hashes', '--no-deps', ...quiet, '-r'];
  await installFiles(options, { ...pip, args: [...pip.args, ...install], environment: settings });
}

/** Makes the environment, and says how to run a pip for it. */
async function makeEnvironment(options: Running, python: Python): Promise<Pick<PackageTool, 'tool' | 'file' | 'args'>> {
  const { building, signal } = options;
  const environment = { ...pythonEnvironment(options.environment), ...temporary(building) };
  const venv = (...more: string[]): Promise<Ended> =>
    runProgram(python.command, [...python.args, '-m', 'venv', ...more, building], {
      environment,
      signal,
      limitMs: VENV_MS,
    });
  const made = await venv();
  if (!made.failed) return { tool: 'pip', file: interpreterIn(building), args: ['-m', 'pip'] };
  if (!/ensurepip|No module named '?venv/.test(made.output)) throw await failure(options, 'venv', made);
  // Debian has ensurepip in a package of its own; the pip of the system can install into an environment without one.
  if (
    (await pipOf(python.command, environment, signal)).installsElsewhere &&
    !(await venv('--clear', '--without-pip')).failed
  ) {
    await makeFolder(path.join(building, TEMPORARY), placeOf(options));
    return { tool: 'pip', file: python.command, args: ['-m', 'pip', '--python', interpreterIn(building)] };
  }
  const version = python.version.slice(0, 2).join('.');
  const debian = /apt(?:-get)? install (\S+)/.exec(made.output)?.[1] ?? `python${version}-venv`;
  throw new AsrproError('engine_install_failed', `Python ${version} of this system can make no environments.`, {
    hint: `Install what it lacks, on Debian and Ubuntu \`sudo apt install ${debian}\`, or install \`uv\`.`,
    cause: lastWords(made),
  });
}

function fromFolder(wheels: string | null): string[] {
  return wheels === null ? [] : ['--no-index', '--find-links', wheels];
}

/** The lock is complete, so no dependency is looked for: what it does not name is not installed. */
async function installFiles(options: Running, tool: PackageTool): Promise<void> {
  const { building, lock, nvidia } = options;
  const torch = (): ReturnType<typeof torchBuild> => torchBuild(asking(options));
  for (const { path: list, role } of lock.files) {
    if (role === 'cpu-torch') {
      if (!nvidia) await tryCpuTorch(options, tool, list, async () => (await torch()) !== 'none');
      continue;
    }
    if (role === 'nvidia') {
      if (!nvidia) continue;
      await removePackages(asking(options), lock.replaced);
    }
    if (role === 'torch' && (await torch()) !== 'none') continue;
    if (role === 'cuda') {
      if ((await torch()) !== 'cuda') continue;
      requireSpace(path.dirname(building), lock.cudaSizeBytes - lock.sizeBytes + SPARE_BYTES);
    }
    await runInstaller(options, tool, [...tool.args, list]);
  }
}

/**
 * A build of torch for the CPU, a tenth of the other's size: from where the person's own settings point to, else from its
 * makers. Where there is none, the common one with its CUDA libraries works on a CPU too.
 */
async function tryCpuTorch(
  options: Running,
  tool: PackageTool,
  list: string,
  isThere: () => Promise<boolean>,
): Promise<void> {
  const impatient = { PIP_RETRIES: '1', PIP_DEFAULT_TIMEOUT: '15', UV_HTTP_TIMEOUT: '15' };
  for (const [more, settings] of [[[], {}] as const, [['--extra-index-url', CPU_TORCH_INDEX], impatient] as const]) {
    const attempt = { ...tool, environment: { ...tool.environment, ...settings } };
    await runInstaller(options, attempt, [...tool.args, list, ...more]).catch((error: AsrproError) => {
      if (error.code !== 'engine_install_failed') throw error;
    });
    if (await isThere()) return;
  }
}

function asking(options: Running): Ask {
  return (script) => ask(options, script);
}

/** What a script says in the new environment. */
async function ask(options: Running, script: readonly string[]): Promise<string> {
  const environment = pythonEnvironment(options.environment);
  const { building, signal } = options;
  const ended = await runProgram(interpreterIn(building), ['-s', '-c', ...script], {
    environment,
    signal,
    limitMs: LOOK_MS,
  });
  if (ended.failed) throw await failure(options, 'Python', ended);
  return ended.stdout;
}

/** Runs pip or uv, turning its lines into progress and its failure into a sentence. */
async function runInstaller(
  options: Running,
  { tool, file, environment }: PackageTool,
  args: readonly string[],
  limitMs?: number,
): Promise<void> {
  const { building, signal, onProgress, collected } = options;
  const ended = await runProgram(file, args, {
    environment: { ...environment, ...(tool === 'pip' ? temporary(building) : {}) },
    signal,
    ...(limitMs === undefined ? {} : { limitMs }),
    onLine(line) {
      const name = /^\s*(?:Collecting|Downloading|Using cached|\+) ([A-Za-z0-9][\w.-]*)/.exec(line)?.[1];
      const found = /^(?:Collecting|Processing| \+) (\S+)/.exec(line)?.[1];
      if (found) collected.add(found);
      if (name) onProgress(`fetching ${name.replace(/-\d.*/, '').replaceAll('_', '-')}`, collected.size);
      else if (line.startsWith('Installing collected')) onProgress('installing packages', collected.size);
    },
  });
  if (ended.failed) throw await failure(options, tool, ended);
}

async function failure(options: Running, tool: string, ended: Ended): Promise<AsrproError> {
  const { building, environment, signal } = options;
  const code =
    "import sys, sysconfig; print('Python %d.%d' % sys.version_info[:2], sysconfig.get_platform(), sysconfig.get_config_var('SOABI') or '')";
  const asked = await runProgram(interpreterIn(building), ['-s', '-c', code], {
    environment: pythonEnvironment(environment),
    signal,
    limitMs: 15_000,
  });
  const [, version, system = '', abi = ''] = /^(Python \S+) (\S+) (.*)$/m.exec(asked.stdout) ?? [];
  const platform =
    version === undefined ? 'this Python' : `${version} on ${abi.includes('musl') ? `${system} (musl)` : system}`;
  return installError(ended, { tool, building, place: placeOf(options), platform });
}

function temporary(building: string): NodeJS.ProcessEnv {
  const folder = path.join(building, TEMPORARY);
  return { TMPDIR: folder, TEMP: folder, TMP: folder };
}
