import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { AsrproError } from '../errors.ts';
import { interpreterIn, MARKER, type Marker } from './environment.ts';
import { findPython } from './find-python.ts';
import type { Lock } from './lock.ts';

export interface InstallerOptions {
  lock: Lock;
  /** Where the environment shall be. */
  folder: string;
  /** `worker.python`. */
  configuredPython: string | null;
  environment: NodeJS.ProcessEnv;
  /** The machine has an NVIDIA driver. */
  nvidia: boolean;
  signal: AbortSignal;
  onProgress(step: string, packagesDone: number): void;
}

interface Running extends InstallerOptions {
  /** What the installers have told of, in all their runs. */
  collected: Set<string>;
}

/** Room that must be left beyond what is installed: both installers unpack beside their downloads. */
const SPARE_BYTES = 300_000_000;

/** Where PyTorch's makers publish builds without CUDA, which are not on the common index for Linux. */
const CPU_TORCH_INDEX = 'https://download.pytorch.org/whl/cpu';

/**
 * Makes an environment beside its final place and renames it there once its packages have been imported. The user's own
 * index, proxy and certificate settings hold: nothing of pip's or uv's configuration is overridden.
 *
 * Throws `python_not_found`, `python_too_old`, `disk_full`, `engine_install_failed`, `engine_install_cancelled`.
 */
export async function installEnvironment(given: InstallerOptions): Promise<void> {
  const options: Running = { ...given, collected: new Set() };
  const { folder, lock, onProgress, signal } = options;
  const building = `${folder}.building`;
  rmSync(building, { recursive: true, force: true });
  mkdirSync(path.dirname(folder), { recursive: true });
  await requireSpace(path.dirname(folder), (options.nvidia ? lock.cudaSizeBytes : lock.sizeBytes) + SPARE_BYTES);
  try {
    onProgress('looking for Python', 0);
    if (await hasUv(options.environment)) await installWithUv(options, building);
    else await installWithPip(options, building);
    onProgress('checking the installation', lock.packages);
    await smokeTest(interpreterIn(building), lock, options);
    const marker = await describe(building, lock, options);
    writeFileSync(path.join(building, MARKER), JSON.stringify(marker, null, 2));
    rmSync(folder, { recursive: true, force: true });
    renameSync(building, folder);
  } catch (error) {
    rmSync(building, { recursive: true, force: true });
    if (signal.aborted) throw new AsrproError('engine_install_cancelled', 'The installation was cancelled.');
    throw error;
  }
}

async function requireSpace(folder: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= needed) return;
  const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
  throw new AsrproError(
    'disk_full',
    `The engine needs ${megabytes(needed)} of disk space; ${megabytes(free)} are free.`,
    {
      hint: 'Free some space, or set ASRPRO_HOME to a folder on another disk.',
    },
  );
}

async function hasUv(environment: NodeJS.ProcessEnv): Promise<boolean> {
  const { failed } = await execa('uv', ['--version'], { env: environment, extendEnv: false, reject: false });
  return !failed;
}

/** uv brings a Python where the machine has none. */
async function installWithUv(options: Running, building: string): Promise<void> {
  const python = await findPython(options.configuredPython, options.environment).then(
    ({ command }) => command,
    (error: AsrproError) => {
      if (options.configuredPython !== null) throw error;
      return '3.12';
    },
  );
  await runInstaller(options, 'uv', ['venv', '--no-project', '--python', python, building]);
  const install = ['pip', 'install', '--require-hashes', '--no-deps', '--python', interpreterIn(building), '-r'];
  await installFiles(options, building, 'uv', install);
}

async function installWithPip(options: Running, building: string): Promise<void> {
  const python = await findPython(options.configuredPython, options.environment);
  options.onProgress('making the environment', 0);
  await runInstaller(options, python.command, [...python.args, '-m', 'venv', building]);
  const install = [
    '-m',
    'pip',
    'install',
    '--require-hashes',
    '--no-deps',
    '--no-input',
    '--progress-bar',
    'off',
    '-r',
  ];
  await installFiles(options, building, interpreterIn(building), install);
}

/** The lock is complete, so no dependency is looked for: what it does not name is not installed. */
async function installFiles(options: Running, building: string, file: string, args: string[]): Promise<void> {
  const { lock, nvidia, environment } = options;
  const torch = (): Promise<'none' | 'cpu' | 'cuda'> => torchBuild(building, environment);
  for (const { path: list, role } of lock.files) {
    const install = [...args, list];
    if (role === 'cpu-torch') {
      if (!nvidia) await tryCpuTorch(options, file, install, async () => (await torch()) !== 'none');
      continue;
    }
    if (role === 'nvidia' && !nvidia) continue;
    if (role === 'torch' && (await torch()) !== 'none') continue;
    if (role === 'cuda') {
      if ((await torch()) !== 'cuda') continue;
      await requireSpace(path.dirname(building), lock.cudaSizeBytes - lock.sizeBytes + SPARE_BYTES);
    }
    await runInstaller(options, file, install);
  }
}

/**
 * A build of torch for the CPU, a tenth of the other's size: from where the person's own settings point to, else from its
 * makers. Where there is none, the common one with its CUDA libraries works on a CPU too.
 */
async function tryCpuTorch(
  options: Running,
  file: string,
  install: string[],
  isThere: () => Promise<boolean>,
): Promise<void> {
  const impatient = { PIP_RETRIES: '1', PIP_DEFAULT_TIMEOUT: '15', UV_HTTP_TIMEOUT: '15' };
  for (const [more, settings] of [[[], {}] as const, [['--extra-index-url', CPU_TORCH_INDEX], impatient] as const]) {
    const attempt = { ...options, environment: { ...options.environment, ...settings } };
    await runInstaller(attempt, file, [...install, ...more]).catch((error: AsrproError) => {
      if (error.code !== 'engine_install_failed') throw error;
    });
    if (await isThere()) return;
  }
}

async function torchBuild(building: string, environment: NodeJS.ProcessEnv): Promise<'none' | 'cpu' | 'cuda'> {
  const code = [
    'import importlib.metadata as m',
    'try: needs = m.requires("torch") or []',
    'except m.PackageNotFoundError: print("none")',
    'else: print("cuda" if any("nvidia" in r or "cuda" in r for r in needs) else "cpu")',
  ].join('\n');
  const { stdout } = await execa(interpreterIn(building), ['-s', '-c', code], { env: environment, extendEnv: false });
  return stdout.trim() as 'none' | 'cpu' | 'cuda';
}

/** Runs pip or uv, turning its lines into progress and its failure into a sentence. */
async function runInstaller(options: Running, file: string, args: string[]): Promise<void> {
  const { environment, signal, onProgress, collected } = options;
  const child = execa(file, args, {
    env: { ...environment, PIP_DISABLE_PIP_VERSION_CHECK: '1', PYTHONUNBUFFERED: '1', NO_COLOR: '1' },
    extendEnv: false,
    reject: false,
    all: true,
    stdin: 'ignore',
    detached: process.platform !== 'win32',
    buffer: true,
  });
  // pip starts children of its own; all of them end with it.
  const end = (): void => void (child.pid !== undefined && killGroup(child.pid));
  signal.addEventListener('abort', end, { once: true });
  process.once('exit', end);
  createInterface({ input: child.all }).on('line', (line) => {
    const name = /^\s*(?:Collecting|Downloading|Using cached|\+) ([A-Za-z0-9][\w.-]*)/.exec(line)?.[1];
    const found = /^(?:Collecting|Processing| \+) (\S+)/.exec(line)?.[1];
    if (found) collected.add(found);
    if (name) onProgress(`fetching ${name.replace(/-\d.*/, '').replaceAll('_', '-')}`, collected.size);
    else if (line.startsWith('Installing collected')) onProgress('installing packages', collected.size);
  });
  const result = await child;
  signal.removeEventListener('abort', end);
  process.removeListener('exit', end);
  if (signal.aborted) throw new AsrproError('engine_install_cancelled', 'The installation was cancelled.');
  if (result.failed) throw installError(String(result.all ?? ''), result);
}

function killGroup(pid: number): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** What pip and uv say, in one sentence. */
function installError(output: string, cause: unknown): AsrproError {
  const says = (pattern: RegExp): boolean => pattern.test(output);
  if (says(/No space left on device|ENOSPC/i)) {
    return new AsrproError('disk_full', 'The disk became full while the engine was installed.', { cause });
  }
  if (says(/HASHES? (ARE|DO) NOT MATCH|hash mismatch/i)) {
    return new AsrproError('engine_install_failed', 'A package from the index is not the one that was locked.', {
      hint: 'Check which package index pip uses (`pip config list`).',
      cause,
    });
  }
  const network =
    /NewConnectionError|Failed to establish|Name or service not known|Temporary failure in name|Could not fetch URL|ConnectTimeout|ReadTimeout|dns error|error sending request|Connection refused|No matching distribution found|Max retries exceeded|ProxyError|SSLError/i;
  if (says(network)) {
    return new AsrproError('engine_install_failed', 'The package index could not be reached, or lacks a package.', {
      hint: 'Check the network, the proxy and the index settings of pip, then try again.',
      cause,
    });
  }
  const last = output.trim().split('\n').at(-1) ?? '';
  return new AsrproError('engine_install_failed', `The installer failed: ${last.slice(0, 300)}`, { cause });
}

async function smokeTest(python: string, lock: Lock, { environment, signal }: InstallerOptions): Promise<void> {
  const { failed, stderr, isCanceled } = await execa(python, ['-s', '-c', `import ${lock.imports.join(', ')}`], {
    // onnxruntime reports its use to its maker from the first import on.
    env: { ...environment, ORT_DISABLE_TELEMETRY: '1' },
    extendEnv: false,
    reject: false,
    cancelSignal: signal,
  });
  if (isCanceled) throw new AsrproError('engine_install_cancelled', 'The installation was cancelled.');
  if (!failed) return;
  const last = (stderr ?? '').trim().split('\n').at(-1) ?? '';
  throw new AsrproError('engine_install_failed', `The installed packages cannot be imported: ${last.slice(0, 300)}`, {
    hint: 'On Linux the engines need glibc 2.28 or newer; on Windows the Visual C++ runtime.',
  });
}

async function describe(building: string, lock: Lock, { environment, nvidia }: InstallerOptions): Promise<Marker> {
  const code = [
    'import importlib.metadata as m, json, os, sys, sysconfig',
    'root = sysconfig.get_path("purelib")',
    'size = sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(sys.prefix) for f in fs if not os.path.islink(os.path.join(d, f)))',
    'print(json.dumps({"root": root, "prefix": sys.prefix, "size": size, "packages": {n: m.version(n) for n in sys.argv[1:]}}))',
  ].join('\n');
  const { stdout } = await execa(interpreterIn(building), ['-s', '-c', code, ...lock.shown], {
    env: environment,
    extendEnv: false,
  });
  const { root, prefix, size, packages } = JSON.parse(stdout) as {
    root: string;
    prefix: string;
    size: number;
    packages: Record<string, string>;
  };
  const libraries = path.join(root, 'nvidia');
  const folders = existsSync(libraries) ? readdirSync(libraries).map((name) => path.join(libraries, name, 'lib')) : [];
  return {
    packages,
    sizeBytes: size,
    nvidia,
    libraryFolders: folders.filter((folder) => existsSync(folder)).map((folder) => path.relative(prefix, folder)),
  };
}
