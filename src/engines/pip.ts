import path from 'node:path';
import { writeTrusted } from '../certificates.ts';
import { AsrproError } from '../errors.ts';
import { pythonEnvironment } from '../python-environment.ts';
import { findPython } from './find-python.ts';
import { runProgram } from './run-program.ts';

/** Lets pip itself find and read its configuration files. A newer pip groups the values by file. */
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
/** Time limit for pip to print its settings, in milliseconds; after it, asrpro assumes that there are none. */
const READ_MS = 60_000;

/**
 * The environment for a run of pip, with only index, proxy and certificate settings of the user. pip must not read its
 * configuration files: `[install] target = ...` would send the packages elsewhere. pip before 24.2 trusts only its own
 * certificates, so asrpro writes a list into `folder` unless the user has set one.
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
  const hasCertificates = ['PIP_CERT', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'].some((name) => clean[name]);
  return {
    ...clean,
    ...(hasCertificates ? {} : { PIP_CERT: writeTrusted(path.join(folder, 'certificates.pem'), environment) }),
    PIP_CONFIG_FILE: process.platform === 'win32' ? 'nul' : '/dev/null',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_NO_INPUT: '1',
    PYTHONUNBUFFERED: '1',
    NO_COLOR: '1',
  };
}

/** pip's settings as environment variables. `install.index-url` overrides `global.index-url`. */
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

/** Whether a Python has pip, and whether pip can install into another environment (`--python`, since 22.3). */
export async function pipOf(
  python: string,
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<{ exists: boolean; installsElsewhere: boolean }> {
  const options = { environment: pythonEnvironment(environment), signal, limitMs: READ_MS };
  const { stdout, failed } = await runProgram(python, ['-m', 'pip', '--version'], options);
  const [, major, minor] = /^pip (\d+)(?:\.(\d+))?/m.exec(stdout) ?? [];
  const exists = !failed && major !== undefined;
  return { exists, installsElsewhere: exists && Number(major) * 100 + Number(minor ?? 0) >= 2203 };
}

/**
 * A Python that has pip: `first`, else one of the machine. An environment that uv created has no pip.
 * Throws `python_not_found`, `python_too_old`.
 */
export async function pythonWithPip(
  first: string | null,
  configured: string | null,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  if (first !== null && (await pipOf(first, environment)).exists) return first;
  const { command } = await findPython(configured, environment);
  if ((await pipOf(command, environment)).exists) return command;
  throw new AsrproError('python_not_found', 'The Python of this machine has no pip.', {
    hint: 'Install it, on Debian and Ubuntu with `sudo apt install python3-pip`.',
  });
}
