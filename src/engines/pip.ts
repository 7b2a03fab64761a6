import path from 'node:path';
import { writeTrusted } from '../certificates.ts';
import { AsrproError } from '../errors.ts';
import { pythonEnvironment } from '../python-environment.ts';
import { findPython } from './find-python.ts';
import { runProgram } from './run-program.ts';

/** What pip's configuration files say, as pip itself finds and reads them. A newer pip groups the values by file. */
const READ = `
import json
from pip._internal.configuration import Configuration
configuration = Configuration(isolated=False)
configuration.load()
found = {}
for key, value in configuration.items():
    found.update(value if isinstance(value, dict) else {key: value})
print(json.dumps(found))
`;
/** A pip that needs longer than this to read its settings, in milliseconds, has none. */
const READ_MS = 60_000;

/**
 * The environment for a run of pip: index, proxy and certificate from the user's variables and from pip's configuration
 * files, and no other setting of theirs. The files themselves are switched off: `[install] target = ...` in one of them
 * would send the packages elsewhere.
 *
 * A pip before 24.2 trusts its own list of certificates alone. Where the user names none for it, it gets ours.
 *
 * @param folder where that list is put.
 */
export async function pipEnvironment(
  python: string,
  command: 'install' | 'download',
  environment: NodeJS.ProcessEnv,
  folder: string,
  signal?: AbortSignal,
): Promise<NodeJS.ProcessEnv> {
  const configFile = environment.PIP_CONFIG_FILE;
  const reading = { ...pythonEnvironment(environment), ...(configFile ? { PIP_CONFIG_FILE: configFile } : {}) };
  const { stdout, failed } = await runProgram(python, ['-c', READ], { environment: reading, signal, limitMs: READ_MS });
  const configured = failed ? {} : variables(stdout, command);
  const clean = pythonEnvironment({ ...configured, ...environment });
  const named = ['PIP_CERT', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'].some((name) => clean[name]);
  return {
    ...clean,
    ...(named ? {} : { PIP_CERT: writeTrusted(path.join(folder, 'certificates.pem'), environment) }),
    PIP_CONFIG_FILE: process.platform === 'win32' ? 'nul' : '/dev/null',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_NO_INPUT: '1',
    PYTHONUNBUFFERED: '1',
    NO_COLOR: '1',
  };
}

/** `install.index-url` goes over `global.index-url`; as variables, which the user's own go over. */
function variables(stdout: string, command: string): Record<string, string> {
  let found: Record<string, unknown>;
  try {
    found = JSON.parse(stdout);
  } catch {
    return {};
  }
  const result: Record<string, string> = {};
  for (const section of ['global', command]) {
    for (const [key, value] of Object.entries(found)) {
      if (!key.startsWith(`${section}.`) || typeof value !== 'string' || value.trim() === '') continue;
      const name = key.slice(section.length + 1).replaceAll('-', '_');
      result[`PIP_${name.toUpperCase()}`] = value.trim().split(/\s+/).join(' ');
    }
  }
  return result;
}

/** Whether a Python has a pip, and one that is new enough for `--python` (22.3). */
export async function pipOf(
  python: string,
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<{ there: boolean; installsElsewhere: boolean }> {
  const options = { environment: pythonEnvironment(environment), signal, limitMs: READ_MS };
  const { stdout, failed } = await runProgram(python, ['-m', 'pip', '--version'], options);
  const [, major, minor] = /^pip (\d+)(?:\.(\d+))?/m.exec(stdout) ?? [];
  const there = !failed && major !== undefined;
  return { there, installsElsewhere: there && Number(major) * 100 + Number(minor ?? 0) >= 2203 };
}

/**
 * A Python with pip: the given one, which has none where uv made it or the system had none for it, else one of the machine.
 * Throws `python_not_found`, `python_too_old`.
 */
export async function pythonWithPip(
  first: string | null,
  configured: string | null,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  if (first !== null && (await pipOf(first, environment)).there) return first;
  const { command } = await findPython(configured, environment);
  if ((await pipOf(command, environment)).there) return command;
  throw new AsrproError('python_not_found', 'The Python of this machine has no pip.', {
    hint: 'Install it, on Debian and Ubuntu with `sudo apt install python3-pip`.',
  });
}
