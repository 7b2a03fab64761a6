import { execa } from 'execa';
import { AsrproError } from '../errors.ts';

export interface Python {
  /** Path or name to start it with. */
  command: string;
  /** Arguments before all others: the Windows launcher wants `-3`. */
  args: string[];
  /** `[3, 11, 7]`. */
  version: [number, number, number];
}

/** The engines' packages exist for these. */
const OLDEST = [3, 10] as const;
const NEWEST = [3, 14] as const;
/** A shim that answers slower than this, in milliseconds, is not a usable Python. */
const PROBE_MS = 15_000;

const CANDIDATES: readonly { command: string; args: string[] }[] = [
  ...['python3.12', 'python3.13', 'python3.11', 'python3.10', 'python3', 'python', 'python3.14'].map((command) => ({
    command,
    args: [],
  })),
  ...(process.platform === 'win32' ? [{ command: 'py', args: ['-3'] }] : []),
];

/**
 * A Python that engine environments can be made with: the configured one, else the first on PATH that answers and is
 * new enough. Throws `python_not_found`, `python_too_old`.
 */
export async function findPython(
  configured: string | null,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Python> {
  if (configured !== null) {
    const python = await probe({ command: configured, args: [] }, environment);
    if (python === null) {
      throw new AsrproError('python_not_found', 'The Python in `worker.python` does not start.', {
        param: 'worker.python',
        hint: 'Set it to an interpreter of Python 3.10 or newer, or to null to look for one.',
      });
    }
    return requireSupported(python);
  }
  const unsuitable: Python[] = [];
  for (const candidate of CANDIDATES) {
    const python = await probe(candidate, environment);
    if (python === null) continue;
    if (isSupported(python)) return python;
    unsuitable.push(python);
  }
  if (unsuitable[0] !== undefined) return requireSupported(unsuitable[0]);
  throw new AsrproError('python_not_found', 'No Python was found on this machine.', {
    hint: 'Install Python 3.10 or newer (python.org), install `uv`, or set `worker.python`.',
  });
}

function requireSupported(python: Python): Python {
  if (isSupported(python)) return python;
  const version = python.version.join('.');
  const old = compare(python.version, OLDEST) < 0;
  throw new AsrproError('python_too_old', `Python ${version} is too ${old ? 'old' : 'new'} for the engines.`, {
    hint: `Install a Python from ${OLDEST.join('.')} to ${NEWEST.join('.')}, or set \`worker.python\` to one.`,
  });
}

function isSupported({ version }: Python): boolean {
  return compare(version, OLDEST) >= 0 && compare(version, NEWEST) <= 0;
}

/** By major and minor number. */
function compare(version: readonly number[], other: readonly [number, number]): number {
  return (version[0] ?? 0) - other[0] || (version[1] ?? 0) - other[1];
}

/** null where it does not start: not installed, or a shim without a Python behind it. */
async function probe(
  { command, args }: Pick<Python, 'command' | 'args'>,
  environment: NodeJS.ProcessEnv,
): Promise<Python | null> {
  const code = "import sys; print(sys.executable); print('%d.%d.%d' % sys.version_info[:3])";
  const { stdout, failed } = await execa(command, [...args, '-c', code], {
    env: environment,
    extendEnv: false,
    reject: false,
    timeout: PROBE_MS,
    stdin: 'ignore',
  });
  const [executable, version] = (stdout ?? '').split(/\r?\n/);
  if (failed || !executable || !version) return null;
  // The interpreter itself, not the shim: it stays the same when the shim's choice changes.
  return { command: executable, args: [], version: version.split('.').map(Number) as Python['version'] };
}
