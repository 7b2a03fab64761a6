import { renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeFolder, onDisk, type Place, requireSpace } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import { pythonEnvironment } from '../python-environment.ts';
import { fetchUv, findUv, managedPython, type UvProgram } from './bring-uv.ts';
import { interpreterIn, MARKER } from './environment.ts';
import { findPython, type Python } from './find-python.ts';
import { asUvSettings, indexSettings } from './index-settings.ts';
import { installError, lastWords } from './install-error.ts';
import { describe, type RunScript, removePackages, torchBuild } from './installed-packages.ts';
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
  /** Final folder of the environment. */
  folder: string;
  /** `worker.python`. */
  configuredPython: string | null;
  environment: NodeJS.ProcessEnv;
  /** The machine has an NVIDIA driver. */
  nvidia: boolean;
  /** A folder to install all packages from, without the network; null: from the user's package index. */
  wheels: string | null;
  signal: AbortSignal;
  onProgress(step: string, packagesDone: number): void;
}

interface Running extends InstallerOptions {
  /** The folder of the unfinished environment. */
  building: string;
  /** Packages that the installers have reported in all their runs. */
  collected: Set<string>;
}

/** How to install packages: `uv pip install` or `python -m pip install`, with its environment variables. */
interface PackageTool {
  tool: 'uv' | 'pip';
  file: string;
  args: readonly string[];
  environment: NodeJS.ProcessEnv;
}

/** Free space needed beyond the installed size: both installers keep downloads and unpacked files at the same time. */
const SPARE_BYTES = 300_000_000;
/** Time limit in milliseconds for Python scripts that only inspect the environment. On a slow disk they read gigabytes. */
const INSPECT_MS = 300_000;
/** Time limit in milliseconds to create an environment without packages, including uv's download of a Python. */
const VENV_MS = 900_000;
/** pip's temporary files, inside the environment, because /tmp is often too small. */
const TEMPORARY = '.asrpro-tmp';

/** Python versions that uv may install: the newest for which all packages have long had wheels. */
const MANAGED_PYTHON = '>=3.10,<3.13';

/**
 * Creates an environment beside its final folder and renames it there after its packages could be imported. Applies only
 * the user's index, proxy and certificate settings. Throws `python_not_found`, `python_too_old`, `disk_full`,
 * `folder_unusable`, `engine_install_failed`, `engine_install_cancelled`.
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
  requireSpace(place, place.neededBytes!, 'the engine');
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
    const marker = await describe(scripts(options), lock.shown, options.nvidia);
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

/** The folder of all engines, as error messages name it. */
export function enginesPlace(folder: string): Place {
  return { name: 'the folder of the engines', folder, remedy: 'set ASRPRO_HOME to a folder on another disk' };
}

function placeOf({ folder, lock, nvidia }: InstallerOptions): Place {
  return {
    ...enginesPlace(path.dirname(folder)),
    neededBytes: (nvidia ? lock.cudaSizeBytes : lock.sizeBytes) + SPARE_BYTES,
  };
}

/**
 * Installs with uv where the machine has it: uv is faster and can download a Python. Otherwise, or when uv fails, installs
 * with pip. On a machine without uv and without Python, fetches uv first.
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
  options.onProgress('uv failed, trying pip', 0);
  await installWithoutUv(options, found).catch((error: AsrproError) => {
    if (!(error instanceof AsrproError) || error.code === 'engine_install_cancelled') throw error;
    if (error.message === first.message) throw error;
    // Without a Python, uv was the only way, so report its reason first.
    const [main, other] = isPythonMissing(error) ? [first, error] : [error, first];
    const message = `${main.message} ${main === first ? 'Without uv' : 'Before that, with uv'}: ${other.message}`;
    throw new AsrproError(main.code, message, { ...(main.hint === null ? {} : { hint: main.hint }), cause: main });
  });
}

function isPythonMissing({ code }: AsrproError): boolean {
  return code === 'python_not_found' || code === 'python_too_old';
}

/**
 * Installs with pip and a Python of the machine. Without a suitable Python, fetches uv, unless the fetched uv has just
 * failed.
 */
async function installWithoutUv(options: Running, failed: UvProgram | null): Promise<void> {
  const { building, configuredPython, environment, wheels, signal, onProgress } = options;
  let missing: AsrproError;
  try {
    return await installWithPip(options, await pythonFor(options));
  } catch (error) {
    // With a folder of wheels there is no network to fetch uv from.
    const canFetchUv =
      error instanceof AsrproError && isPythonMissing(error) && configuredPython === null && wheels === null;
    if (!canFetchUv || failed?.origin === 'fetched') throw error;
    missing = error;
  }
  const onStep = (step: string): void => onProgress(`${step} uv, which will download Python`, 0);
  const engines = path.dirname(building);
  const uv = await fetchUv({ engines, place: placeOf(options), environment, signal, onStep }).catch(
    (error: AsrproError) => {
      if (!(error instanceof AsrproError) || error.code !== 'engine_install_failed') throw error;
      const message = `${missing.message.replace(/\.$/, '')}, and uv, which could download one, cannot be fetched: ${error.message}.`;
      const hint = `${error.hint ?? ''} Or install Python 3.10 or newer (python.org), or put \`uv\` on PATH.`.trim();
      throw new AsrproError(missing.code, message, { hint, cause: error });
    },
  );
  await installWithUv(options, uv);
}

/** The Python to use. A folder of wheels fits only one minor version. */
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

/** Installs with uv, which downloads a Python where the machine has none. */
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
  // A user without uv has set the package index only for pip.
  const index = python === null || uv.origin !== 'user' ? await indexSettings(environment) : null;
  const seen = index === null ? environment : { ...environment, ...index.environment };
  using settings = await onDisk(placeOf(options), () =>
    uvEnvironment(seen, `${building}-uv`, index === null ? null : asUvSettings(index)),
  );
  const tool = { tool: 'uv', file: uv.file, environment: settings.environment } as const;
  const managed = python === null ? managedPython(uv, engines, settings.environment) : null;
  if (managed !== null) onProgress('fetching Python', 0);
  const venv = [
    'venv',
    '--no-project',
    ...(managed?.args ?? []),
    '--python',
    python ?? firstPython(options) ?? MANAGED_PYTHON,
    building,
  ];
  const making = { ...tool, args: [], environment: { ...settings.environment, ...managed?.environment } };
  await runInstaller(options, making, venv, VENV_MS);
  // A broken uv may report success, so check that the environment's Python runs.
  await runScript(options, ['pass']);
  const from = fromFolder(options.wheels);
  const args = ['pip', 'install', '--require-hashes', '--no-deps', ...from, '--python', interpreterIn(building), '-r'];
  await installFiles(options, { ...tool, args });
}

async function installWithPip(options: Running, python: Python): Promise<void> {
  const { building, environment, signal } = options;
  options.onProgress('creating the environment', 0);
  await makeFolder(path.join(building, TEMPORARY), placeOf(options));
  const pip = await makeEnvironment(options, python);
  const settings = await onDisk(placeOf(options), () =>
    pipEnvironment(pip.file, 'install', environment, path.join(building, TEMPORARY), signal),
  );
  // `tidy` compiles everything at the end, with all cores.
  const quiet = ['--no-compile', '--no-input', '--progress-bar', 'off', ...fromFolder(options.wheels)];
  const install = ['install', '--require-hashes', '--no-deps', ...quiet, '-r'];
  await installFiles(options, { ...pip, args: [...pip.args, ...install], environment: settings });
}

/** Creates the environment and returns how to run pip for it. */
async function makeEnvironment(options: Running, python: Python): Promise<Pick<PackageTool, 'tool' | 'file' | 'args'>> {
  const { building, signal } = options;
  const environment = { ...pythonEnvironment(options.environment), ...temporary(building) };
  const venv = (...more: string[]): Promise<Ended> =>
    runProgram(python.command, [...python.args, '-m', 'venv', ...more, building], {
      environment,
      signal,
      limitMs: VENV_MS,
    });
  const created = await venv();
  if (!created.failed) return { tool: 'pip', file: interpreterIn(building), args: ['-m', 'pip'] };
  if (!/ensurepip|No module named '?venv/.test(created.output)) throw await failure(options, 'venv', created);
  // Debian ships ensurepip as a separate package. The system's pip can install into an environment without pip.
  if (
    (await pipOf(python.command, environment, signal)).installsElsewhere &&
    !(await venv('--clear', '--without-pip')).failed
  ) {
    await makeFolder(path.join(building, TEMPORARY), placeOf(options));
    return { tool: 'pip', file: python.command, args: ['-m', 'pip', '--python', interpreterIn(building)] };
  }
  const version = python.version.slice(0, 2).join('.');
  const debian = /apt(?:-get)? install (\S+)/.exec(created.output)?.[1] ?? `python${version}-venv`;
  throw new AsrproError(
    'engine_install_failed',
    `Python ${version} of this system cannot create virtual environments.`,
    {
      hint: `Install the missing package, on Debian and Ubuntu with \`sudo apt install ${debian}\`, or install \`uv\`.`,
      cause: lastWords(created),
    },
  );
}

function fromFolder(wheels: string | null): string[] {
  return wheels === null ? [] : ['--no-index', '--find-links', wheels];
}

/** Installs exactly the packages of the lock. It is complete, so dependency resolution is switched off. */
async function installFiles(options: Running, tool: PackageTool): Promise<void> {
  const { building, lock, nvidia } = options;
  const torch = (): ReturnType<typeof torchBuild> => torchBuild(scripts(options));
  for (const { path: list, role } of lock.files) {
    if (role === 'cpu-torch') {
      if (!nvidia) await tryCpuTorch(options, tool, list, async () => (await torch()) !== 'none');
      continue;
    }
    if (role === 'nvidia') {
      if (!nvidia) continue;
      await removePackages(scripts(options), lock.replaced);
    }
    if (role === 'torch' && (await torch()) !== 'none') continue;
    if (role === 'cuda') {
      if ((await torch()) !== 'cuda') continue;
      const place = enginesPlace(path.dirname(building));
      requireSpace(place, lock.cudaSizeBytes - lock.sizeBytes + SPARE_BYTES, 'the engine');
    }
    await runInstaller(options, tool, [...tool.args, list]);
  }
}

/**
 * Tries to install torch's CPU build, which has a tenth of the size: from the user's own index, else from PyTorch's. If
 * neither has it, the common build with CUDA libraries is installed later; it works on a CPU too.
 */
async function tryCpuTorch(
  options: Running,
  tool: PackageTool,
  list: string,
  isInstalled: () => Promise<boolean>,
): Promise<void> {
  const shortTimeouts = { PIP_RETRIES: '1', PIP_DEFAULT_TIMEOUT: '15', UV_HTTP_TIMEOUT: '15' };
  for (const [more, settings] of [
    [[], {}] as const,
    [['--extra-index-url', CPU_TORCH_INDEX], shortTimeouts] as const,
  ]) {
    const attempt = { ...tool, environment: { ...tool.environment, ...settings } };
    await runInstaller(options, attempt, [...tool.args, list, ...more]).catch((error: AsrproError) => {
      if (error.code !== 'engine_install_failed') throw error;
    });
    if (await isInstalled()) return;
  }
}

function scripts(options: Running): RunScript {
  return (script) => runScript(options, script);
}

/** Runs a Python script in the new environment and returns its output. */
async function runScript(options: Running, script: readonly string[]): Promise<string> {
  const environment = pythonEnvironment(options.environment);
  const { building, signal } = options;
  const ended = await runProgram(interpreterIn(building), ['-s', '-c', ...script], {
    environment,
    signal,
    limitMs: INSPECT_MS,
  });
  if (ended.failed) throw await failure(options, 'Python', ended);
  return ended.stdout;
}

/** Runs pip or uv. Turns its output into progress reports, and a failure into an error with one sentence. */
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
