import { statSync } from 'node:fs';
import path from 'node:path';
import { AsrproError } from '../errors.ts';
import { pythonEnvironment } from '../python-environment.ts';
import { runProgram } from './run-program.ts';

export interface Python {
  /** Path or name to start it with. */
  command: string;
  /** Arguments before all others: the Windows launcher wants `-3`. */
  args: string[];
  /** `[3, 11, 7]`. */
  version: [number, number, number];
}

type Candidate = Pick<Python, 'command' | 'args'>;

/** The engines' packages exist for Python versions in this range. */
const OLDEST = [3, 10] as const;
const NEWEST = [3, 14] as const;
/** Time limit for a Python to answer, in milliseconds: a version manager's shim may hang. */
const PROBE_MS = 15_000;

const NAMES = ['python3.12', 'python3.13', 'python3.11', 'python3.10', 'python3', 'python', 'python3.14'];

/** Prints path, version, and why packages do not exist for this kind of Python: only for 64-bit CPython with the GIL. */
const PROBE = `
import sys, sysconfig
kind = ''
if sys.implementation.name != 'cpython': kind = sys.implementation.name
elif sys.maxsize < 2**32: kind = 'a 32-bit Python'
elif sysconfig.get_config_var('Py_GIL_DISABLED'): kind = 'a free-threaded Python'
print(sys.executable)
print('%d.%d.%d' % sys.version_info[:3])
print(kind)
`;

/**
 * Finds a Python to create environments with: the configured one, else the first on PATH that answers, is 64-bit CPython
 * and new enough. `only`: the one accepted minor version (`3.12`). Throws `python_not_found`, `python_too_old`.
 */
export async function findPython(
  configured: string | null,
  environment: NodeJS.ProcessEnv = process.env,
  signal?: AbortSignal,
  only: string | null = null,
): Promise<Python> {
  const clean = pythonEnvironment(environment);
  if (configured !== null) {
    const python = await probe({ command: configured, args: [] }, clean, signal);
    if ('failure' in python) {
      throw new AsrproError('python_not_found', `The Python in \`worker.python\` cannot be used: ${python.failure}.`, {
        param: 'worker.python',
        hint: 'Set it to a Python interpreter, 3.10 or newer, or to null to search PATH.',
      });
    }
    return requireOnly(requireSupported(python), only);
  }
  let unsuitable: Python | undefined;
  let failure: string | undefined;
  for (const candidate of candidates(clean)) {
    const python = await probe(candidate, clean, signal);
    if ('failure' in python) failure ??= `\`${path.basename(candidate.command)}\` exists, but ${python.failure}`;
    else if (isSupported(python) && isOnly(python, only)) return python;
    else unsuitable ??= python;
  }
  if (unsuitable !== undefined) return requireOnly(requireSupported(unsuitable), only);
  const found = failure === undefined ? 'No Python was found' : 'No usable Python was found';
  throw new AsrproError('python_not_found', `${found} on this machine${failure === undefined ? '' : `: ${failure}`}.`, {
    hint: 'Install Python 3.10 or newer (python.org), install `uv`, or set `worker.python`.',
  });
}

/**
 * Every program with one of these names on PATH, the best version first. All of each name, because the first may be a
 * version manager's shim with no Python behind it.
 */
function candidates(environment: NodeJS.ProcessEnv): Candidate[] {
  const windows = process.platform === 'win32';
  const search = Object.entries(environment).find(([name]) => name.toUpperCase() === 'PATH')?.[1] ?? '';
  const folders = search.split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  const endings = windows ? ['.exe', '.bat'] : [''];
  const found = NAMES.flatMap((name) => folders.flatMap((at) => endings.map((end) => path.join(at, name + end))))
    .filter(isFile)
    .map((command) => ({ command, args: [] as string[] }));
  return windows ? [...found, { command: 'py', args: ['-3'] }] : found;
}

function isFile(file: string): boolean {
  try {
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function requireSupported(python: Python): Python {
  if (isSupported(python)) return python;
  const version = python.version.join('.');
  const old = compare(python.version, OLDEST) < 0;
  throw new AsrproError('python_too_old', `Python ${version} is too ${old ? 'old' : 'new'} for the engines.`, {
    hint: `Install a Python from ${OLDEST.join('.')} to ${NEWEST.join('.')}, or set \`worker.python\` to one.`,
  });
}

function requireOnly(python: Python, only: string | null): Python {
  if (isOnly(python, only)) return python;
  const found = python.version.slice(0, 2).join('.');
  throw new AsrproError('python_not_found', `The packages are for Python ${only}, and Python ${found} was found.`, {
    hint: `Install Python ${only}, or set \`worker.python\` to one.`,
  });
}

function isOnly({ version }: Python, only: string | null): boolean {
  return only === null || version.slice(0, 2).join('.') === only;
}

function isSupported({ version }: Python): boolean {
  return compare(version, OLDEST) >= 0 && compare(version, NEWEST) <= 0;
}

/** Compares major and minor numbers. */
function compare(version: readonly number[], other: readonly [number, number]): number {
  return (version[0] ?? 0) - other[0] || (version[1] ?? 0) - other[1];
}

/** Runs a candidate. `failure` says why it cannot be used, as the end of a sentence. */
async function probe(
  { command, args }: Candidate,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined,
): Promise<Python | { failure: string }> {
  const options = { environment, signal, limitMs: PROBE_MS };
  const { stdout, failed, cause, exitCode } = await runProgram(command, [...args, '-c', PROBE], options);
  if (failed) return { failure: cause ?? `it ended with exit code ${exitCode}` };
  const [executable, version, kind] = stdout.split(/\r?\n/);
  if (!executable || !/^\d+\.\d+\.\d+$/.test(version ?? '')) return { failure: 'it is not a Python' };
  if (kind) return { failure: `it is ${kind}, and the engines need 64-bit CPython` };
  // Use the interpreter instead of the shim, whose choice may change later.
  return { command: executable, args: [], version: version!.split('.').map(Number) as Python['version'] };
}
