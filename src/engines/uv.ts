import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeTrusted } from '../certificates.ts';
import { pythonEnvironment } from '../python-environment.ts';
import { runProgram } from './run-program.ts';

/** Time limit for uv to print its version, in milliseconds; a slower one counts as missing. */
const VERSION_MS = 15_000;

export async function isWorkingUv(
  file: string,
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<boolean> {
  const options = { environment: pythonEnvironment(environment), signal, limitMs: VERSION_MS };
  const { failed } = await runProgram(file, ['--version'], options);
  return !failed;
}

/** Keys of uv.toml, and of its table `pip`, that say how to reach an index. */
const KEPT =
  /^(index|index-url|extra-index-url|find-links|no-index|index-strategy|native-tls|system-certs|allow-insecure-host|trusted-host|offline|keyring-provider|cache-dir|no-cache|concurrent-downloads|(python|pypy)-install-mirror|python-downloads-json-url|(http|https|no)-proxy)$/;

/**
 * The environment for runs of uv, with only index, proxy and certificate settings of the user: uv reads a reduced copy of
 * uv.toml in `folder`, and no project file. uv trusts only its own certificates, so asrpro writes a list there unless the
 * user has set one. `index` replaces the index settings of uv.toml.
 */
export async function uvEnvironment(
  environment: NodeJS.ProcessEnv,
  folder: string,
  index: Record<string, unknown> | null = null,
): Promise<{ environment: NodeJS.ProcessEnv; [Symbol.dispose](): void }> {
  const { stringify } = await import('smol-toml');
  const { index: named, pip, ...others } = await readUvSettings(environment);
  const kept =
    index === null
      ? { ...others, ...(named ? { index: named } : {}), ...(pip ? { pip } : {}) }
      : { ...others, ...index };
  // The settings may contain credentials, so only this user may read the folder.
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, 'uv.toml');
  writeFileSync(file, stringify(kept), { mode: 0o600 });
  const clean = pythonEnvironment(environment);
  const trusted = clean.SSL_CERT_FILE ?? writeTrusted(path.join(folder, 'certificates.pem'), environment);
  return {
    environment: { ...clean, UV_CONFIG_FILE: file, SSL_CERT_FILE: trusted, NO_COLOR: '1' },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The index settings of uv.toml. */
export async function readUvSettings(environment: NodeJS.ProcessEnv): Promise<Record<string, unknown>> {
  const { parse } = await import('smol-toml');
  const kept: Record<string, unknown> = {};
  for (const file of configFiles(environment)) {
    try {
      const given = parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
      const pip = pick((given.pip ?? {}) as Record<string, unknown>);
      Object.assign(kept, pick(given), Object.keys(pip).length > 0 ? { pip } : {});
    } catch {
      // Missing or unreadable: uv's defaults apply.
    }
  }
  return kept;
}

/** The system's file, then the user's; or only the one that UV_CONFIG_FILE names. */
function configFiles({ UV_CONFIG_FILE, UV_NO_CONFIG, ...environment }: NodeJS.ProcessEnv): string[] {
  if (UV_CONFIG_FILE) return [UV_CONFIG_FILE];
  if (UV_NO_CONFIG && !/^(0|false|no|off)$/i.test(UV_NO_CONFIG)) return [];
  const { HOME, XDG_CONFIG_DIRS, XDG_CONFIG_HOME, PROGRAMDATA, APPDATA } = environment;
  const folders =
    process.platform === 'win32'
      ? [PROGRAMDATA, APPDATA]
      : [
          ...(XDG_CONFIG_DIRS ?? '/etc/xdg').split(':').reverse(),
          '/etc',
          XDG_CONFIG_HOME || (HOME && path.join(HOME, '.config')),
        ];
  return folders.filter((folder) => folder !== undefined && folder !== '').map((at) => path.join(at!, 'uv', 'uv.toml'));
}

function pick(given: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(given).filter(([key]) => KEPT.test(key)));
}
