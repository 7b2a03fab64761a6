import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pythonEnvironment } from '../python-environment.ts';
import { readUvSettings } from './uv.ts';

/** The user's settings for Python package indexes, read without pip or uv, because there may be no Python yet. */
export interface IndexSettings {
  /**
   * Addresses of indexes with the simple API, without a trailing slash, the main one first. Only those that the user has
   * set: asrpro has no built-in index.
   */
  indexes: string[];
  /** Folders with wheels, and addresses of pages that link to wheels. */
  findLinks: string[];
  /** Hosts whose certificates are not checked. */
  insecureHosts: string[];
  /** The environment with the proxy and certificates from the settings of pip and uv. */
  environment: NodeJS.ProcessEnv;
}

const TRUE = /^(1|on|yes|true|y|t)$/i;

/** Reads the variables of uv and pip, uv.toml, and pip's configuration files: uv before pip, variables before files. */
export async function indexSettings(given: NodeJS.ProcessEnv): Promise<IndexSettings> {
  const pipFiles = pipConfiguration(given);
  const env = pythonEnvironment({ ...pipFiles, ...given });
  const uv = await readUvSettings(given);
  const tables = [uv, (uv.pip ?? {}) as Record<string, unknown>];
  const toml = (...keys: string[]): string[] => tables.flatMap((table) => keys.flatMap((key) => texts(table[key])));
  const named = tables.flatMap((table) => (Array.isArray(table.index) ? (table.index as IndexTable[]) : []));
  const isSet = (name: string): boolean => TRUE.test(env[name] ?? '');
  const offline = isSet('UV_OFFLINE') || uv.offline === true;
  const none = offline || isSet('PIP_NO_INDEX') || tables.some((table) => table['no-index'] === true);

  const main = [
    ...words(env.UV_DEFAULT_INDEX ?? env.UV_INDEX_URL),
    ...named.filter((one) => one.default === true).map(({ url }) => url),
    ...toml('index-url'),
    ...words(env.PIP_INDEX_URL ?? env.PIP_PYPI_URL),
  ];
  const extra = [
    ...words(env.UV_INDEX),
    ...words(env.UV_EXTRA_INDEX_URL),
    ...named.filter((one) => one.default !== true).map(({ url }) => url),
    ...toml('extra-index-url'),
    ...words(env.PIP_EXTRA_INDEX_URL),
  ];
  const indexes = [...main, ...extra].map((one) => withLogin(one, env));
  const proxy = env.PIP_PROXY;
  const http = texts(uv['http-proxy'])[0] ?? proxy;
  const https = texts(uv['https-proxy'])[0] ?? proxy;
  return {
    indexes: none ? [] : [...new Set(indexes.filter((one) => URL.canParse(one)).map((one) => one.replace(/\/+$/, '')))],
    findLinks: [...words(env.UV_FIND_LINKS), ...toml('find-links'), ...words(env.PIP_FIND_LINKS)].filter(
      (link) => !offline || !/^https?:/.test(link),
    ),
    insecureHosts: [
      ...words(env.UV_INSECURE_HOST),
      ...toml('allow-insecure-host', 'trusted-host'),
      ...words(env.PIP_TRUSTED_HOST),
    ],
    environment: { ...(http && { HTTP_PROXY: http }), ...(https && { HTTPS_PROXY: https }), ...env },
  };
}

/**
 * The settings as keys of a uv.toml, since uv does not read pip's. All packages are locked by hash, so any index may
 * serve them.
 */
export function asUvSettings({ indexes, findLinks, insecureHosts }: IndexSettings): Record<string, unknown> {
  const [main, ...extra] = indexes;
  return {
    ...(main === undefined ? { 'no-index': true } : { 'index-url': main, 'extra-index-url': extra }),
    ...{ 'find-links': findLinks, 'allow-insecure-host': insecureHosts, 'index-strategy': 'unsafe-best-match' },
  };
}

interface IndexTable {
  url: string;
  default?: boolean;
}

function words(value: string | undefined): string[] {
  return (value ?? '').split(/[\s,]+/).filter(Boolean);
}

function texts(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'string');
}

/** uv accepts an index as `company=https://…` and takes its login from variables with that name. */
function withLogin(index: string, env: NodeJS.ProcessEnv): string {
  const [, name, address] = /^([\w.-]+)=(https?:.*)$/.exec(index) ?? [];
  if (name === undefined || !URL.canParse(address!)) return index;
  const url = new URL(address!);
  const variable = `UV_INDEX_${name.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`;
  url.username ||= encodeURIComponent(env[`${variable}_USERNAME`] ?? '');
  url.password ||= encodeURIComponent(env[`${variable}_PASSWORD`] ?? '');
  return url.href;
}

/** The sections `global` and `install` of pip's configuration files, as the equivalent environment variables. */
function pipConfiguration(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const found: Record<'global' | 'install', NodeJS.ProcessEnv> = { global: {}, install: {} };
  for (const file of pipFiles(environment)) {
    let section = '';
    let name = '';
    for (const line of textOf(file).split(/\r?\n/)) {
      const [, heading] = /^\s*\[(.+?)\]/.exec(line) ?? [];
      const [, key, value] = /^([\w-]+)\s*[=:]\s*(.*)$/.exec(line) ?? [];
      const into = found[section as 'global' | 'install'];
      if (heading !== undefined) section = heading.trim();
      else if (/^\s*[#;]/.test(line) || into === undefined) continue;
      else if (key !== undefined) {
        name = `PIP_${key.replaceAll('-', '_').toUpperCase()}`;
        into[name] = value!.trim();
      } else if (name !== '' && /^\s+\S/.test(line)) into[name] = `${into[name]} ${line.trim()}`.trim();
    }
  }
  return { ...found.global, ...found.install };
}

/** The system's files, then the user's, in pip's order. */
function pipFiles(environment: NodeJS.ProcessEnv): string[] {
  const { PIP_CONFIG_FILE, XDG_CONFIG_DIRS, XDG_CONFIG_HOME, APPDATA, PROGRAMDATA } = environment;
  if (PIP_CONFIG_FILE === os.devNull) return [];
  const home = environment.HOME ?? environment.USERPROFILE ?? '/nonexistent';
  const userConfig = XDG_CONFIG_HOME || path.join(home, '.config');
  const files =
    process.platform === 'win32'
      ? [PROGRAMDATA, path.join(home, 'pip'), APPDATA].map((at) => at && path.join(at, 'pip', 'pip.ini'))
      : [
          ...(XDG_CONFIG_DIRS ?? '/etc/xdg').split(':').map((at) => path.join(at, 'pip', 'pip.conf')),
          '/etc/pip.conf',
          path.join(home, '.pip', 'pip.conf'),
          ...(process.platform === 'darwin' ? [path.join(home, 'Library/Application Support/pip/pip.conf')] : []),
          path.join(userConfig, 'pip', 'pip.conf'),
        ];
  return [...files, PIP_CONFIG_FILE].filter((file): file is string => Boolean(file));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
