import { mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { errnoWords } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';
import { readConfigFile } from './file.ts';
import { readJsonObject, statOf, withoutMark } from './foreign-file.ts';
import { jsonOrText, parseSetting, validateConfig } from './load.ts';
import { nearest } from './nearest.ts';
import type { Paths } from './paths.ts';
import { findSetting, settings } from './settings.ts';

/**
 * Validates the configuration file with the new value, then writes it atomically. `key` is `section.name`, or
 * `models.settings.ID.NAME`. Throws `invalid_config`, or `folder_unusable` if the file cannot be written; the file is then
 * unchanged.
 */
export async function setConfigValue(
  file: string,
  key: string,
  value: string,
  catalogueIds: readonly string[] = [],
): Promise<void> {
  const content = readConfigFile(file);
  const [section, name, ...inner] = key.split('.');
  const setting = findSetting(`${section}.${name}`);
  if (!setting) throw unknownSetting(key);
  const values = { ...content[setting.section] };
  if (inner.length > 0) values[setting.name] = withModelSetting(values[setting.name], inner, value, key);
  else values[setting.name] = parseSetting(setting, value);
  const changed = { ...content, [setting.section]: values };
  validateConfig(changed, { file, sources: { [setting.key]: `config set ${key}` }, catalogueIds });
  try {
    const store = await openStore(file, false);
    store.store = { ...store.store, ...changed };
  } catch (cause) {
    throw new AsrproError(
      'folder_unusable',
      `The configuration file ${file} cannot be written: ${errnoWords(cause)}.`,
      {
        cause,
      },
    );
  }
}

/** Model ids may contain dots, so the last part is the setting's name and the parts before it are the id. */
function withModelSetting(before: unknown, parts: string[], value: string, key: string): unknown {
  const name = parts.at(-1)!;
  const id = parts.slice(0, -1).join('.');
  if (!key.startsWith('models.settings.') || id === '') throw unknownSetting(key);
  const all = (before ?? {}) as Record<string, Record<string, unknown>>;
  return { ...all, [id]: { ...all[id], [name]: jsonOrText(value) } };
}

export function unknownSetting(key: string): AsrproError {
  const keys = settings.map((setting) => setting.key);
  const meant = nearest(key, keys);
  return new AsrproError('invalid_config', `There is no key ${key}${meant ? `; did you mean ${meant}?` : '.'}`, {
    param: key,
    hint: '`asrpro config show` lists all keys.',
  });
}

/** The last selected model, stored for `serve --model last`. */
export interface SelectedModel {
  get(): Promise<string | null>;
  set(id: string | null): Promise<void>;
}

export function selectedModel(paths: Pick<Paths, 'data'>): SelectedModel {
  const file = path.join(paths.data, 'state.json');
  return {
    async get() {
      const selectedModel = readJsonObject(file)?.selectedModel;
      return typeof selectedModel === 'string' ? selectedModel : null;
    },
    async set(id) {
      (await openStore(file, true)).set('selectedModel', id);
    },
  };
}

/** The last unexpected end of a worker, stored for `asrpro doctor`. */
export interface LastCrash {
  /** ISO 8601. */
  at: string;
  /** For example "Worker 3 was ended by SIGKILL." */
  words: string;
}

export function lastCrash(paths: Pick<Paths, 'data'>) {
  const file = path.join(paths.data, 'state.json');
  return {
    async get(): Promise<LastCrash | null> {
      const found = readJsonObject(file)?.lastCrash;
      return typeof found === 'object' && found !== null ? (found as LastCrash) : null;
    },
    async set(crash: LastCrash): Promise<void> {
      (await openStore(file, true)).set('lastCrash', crash);
    },
  };
}

/**
 * Imports `conf` only when a command writes, because most commands only read. `disposable`: a broken file is replaced. The
 * file is readable by its owner only, because it may contain the API key.
 */
async function openStore(file: string, disposable: boolean) {
  if (statOf(file)?.isFIFO()) throw new Error('it is a pipe');
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const Conf = await importConf();
  const extension = path.extname(file);
  return new Conf<Record<string, unknown>>({
    cwd: path.dirname(file),
    configName: path.basename(file, extension),
    fileExtension: extension.slice(1),
    clearInvalidConfig: disposable,
    configFileMode: 0o600,
    deserialize: (text) => JSON.parse(withoutMark(text)),
    projectName: 'asrpro',
  });
}

/**
 * When it is imported, conf's file writer adds signal listeners that send each signal to this process again. The command
 * line would take that for the second signal, which ends it at once, so these listeners are removed.
 */
async function importConf() {
  const names = Object.keys(os.constants.signals) as NodeJS.Signals[];
  const before = new Map(names.map((name) => [name, process.rawListeners(name)]));
  const { default: Conf } = await import('conf');
  for (const [name, known] of before) {
    for (const listener of process.rawListeners(name)) {
      if (!known.includes(listener)) process.off(name, listener as NodeJS.SignalsListener);
    }
  }
  return Conf;
}
