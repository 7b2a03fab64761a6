import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeTrusted } from '../certificates.ts';
import { pythonEnvironment } from '../python-environment.ts';
import { runProgram } from './run-program.ts';

/** A uv that does not tell its version in this time, in milliseconds, is none. */
const VERSION_MS = 15_000;

export async function answersAsUv(
  file: string,
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<boolean> {
  const options = { environment: pythonEnvironment(environment), signal, limitMs: VERSION_MS };
  const { failed } = await runProgram(file, ['--version'], options);
  return !failed;
}

/** Keys of a uv.toml that say how to reach an index; of its table `pip` as well. */
const KEPT =
  /^(index|index-url|extra-index-url|find-links|no-index|index-strategy|native-tls|system-certs|allow-insecure-host|trusted-host|offline|keyring-provider|cache-dir|no-cache|concurrent-downloads|(python|pypy)-install-mirror|python-downloads-json-url|(http|https|no)-proxy)$/;

/**
 * The environment for runs of uv: index, proxy and certificate from the user's variables and uv.toml, and no other setting of
 * theirs. uv gets a copy of the file with those keys alone; a project's file in the current folder is not looked at. It
 * trusts a list of its own alone, so that it gets ours where the user names none.
 *
 * @param folder where these files are until they are disposed of.
 * @param index where packages come from, in place of what the files say of it.
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
  // They may hold credentials: a folder of this user alone.
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

/** What uv.toml says about the way to an index. */
export async function readUvSettings(environment: NodeJS.ProcessEnv): Promise<Record<string, unknown>> {
  const { parse } = await import('smol-toml');
  const kept: Record<string, unknown> = {};
  for (const file of configFiles(environment)) {
    try {
      const given = parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
      const pip = pick((given.pip ?? {}) as Record<string, unknown>);
      Object.assign(kept, pick(given), Object.keys(pip).length > 0 ? { pip } : {});
    } catch {
      // Not there, or not readable: uv's defaults hold.
    }
  }
  return kept;
}

/** The system's, then the user's; or the one that UV_CONFIG_FILE names. */
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
