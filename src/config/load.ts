import { AsrproError } from '../errors.ts';
import { readConfigFile, type Sections } from './file.ts';
import { expandHome } from './home.ts';
import { nearest } from './nearest.ts';
import { type Config, configSchema } from './schema.ts';
import { allowedValues, findSetting, jsonTypes, type Setting, sections, settings } from './settings.ts';

/** A value that a flag or the environment gives, as text. */
export interface Override {
  /** `server.port` */
  key: string;
  value: string | boolean;
  /** Where it came from, for messages: `flag --port`. */
  source: string;
}

export interface LoadedConfig {
  config: Config;
  /** By key (`server.port`): `flag --port`, `environment ASRPRO_SERVER_PORT`, the path of the file, or `default`. */
  sources: Record<string, string>;
}

export interface ConfigOrigin {
  file: string;
  /** The file was named by the user and has to exist. */
  fileRequired?: boolean;
  environment: NodeJS.ProcessEnv;
  flags: Override[];
  /** Ids of the catalogue, which no model of the user's own may take. */
  catalogueIds?: readonly string[];
}

/**
 * The configuration in force: flags over environment over file over defaults.
 * Throws `invalid_config` that names the key, where its value came from and what is allowed. Writes nothing.
 */
export function loadConfig(origin: ConfigOrigin): LoadedConfig {
  const merged = readConfigFile(origin.file, origin.fileRequired);
  const sources: Record<string, string> = {};
  for (const { key, section, name } of settings) {
    sources[key] = merged[section]?.[name] === undefined ? 'default' : origin.file;
  }
  for (const override of [...environmentOverrides(origin.environment), ...origin.flags]) {
    const setting = findSetting(override.key)!;
    merged[setting.section] = { ...merged[setting.section], [setting.name]: parseSetting(setting, override.value) };
    sources[setting.key] = override.source;
  }
  const config = validateConfig(merged, { ...origin, sources });
  return { config: withHome(config, origin.environment), sources };
}

/** `sources` says where the values came from; what it does not name came from the file. */
type Validation = Pick<ConfigOrigin, 'file' | 'catalogueIds'> & { sources: Record<string, string> };

/** Checks a whole configuration. Throws `invalid_config` for the first mistake. */
export function validateConfig(content: Sections, { file, sources, catalogueIds = [] }: Validation): Config {
  const parsed = configSchema.safeParse(content);
  if (parsed.success) {
    requireOwnIds(parsed.data, catalogueIds, sources['models.custom'] ?? file);
    return parsed.data;
  }
  const issue = parsed.error.issues[0]!;
  const key = issue.path.join('.');
  const setting = findSetting(issue.path.slice(0, 2).join('.'));
  const source = (setting && sources[setting.key]) ?? file;
  if (issue.code === 'unrecognized_keys') throw unknownKey(issue.path.map(String), issue.keys[0]!, source);
  const whole = setting && key === setting.key && issue.code !== 'custom';
  const value = issue.path.reduce<unknown>((part, step) => (part as Sections)?.[String(step)], content);
  throw new AsrproError(
    'invalid_config',
    whole
      ? `${key} (${source}): ${shown(value)} is not allowed; give ${allowedValues(setting)}.`
      : `${key} (${source}): ${shown(value)} is not allowed: ${issue.message}.`,
    { param: key, hint: setting?.description },
  );
}

/** Two models of one name: only one of them could ever be reached. */
function requireOwnIds({ models }: Config, catalogueIds: readonly string[], source: string): void {
  const taken = new Set(catalogueIds);
  for (const [index, { id }] of models.custom.entries()) {
    const key = `models.custom.${index}.id`;
    const owner = catalogueIds.includes(id) ? 'the catalogue has' : 'the list has';
    if (taken.has(id)) {
      const message = `${key} (${source}): "${id}" is not allowed: ${owner} another model of this id.`;
      throw new AsrproError('invalid_config', message, { param: key, hint: 'Give the model another id.' });
    }
    taken.add(id);
  }
}

/** The settings that are paths, with `~` replaced. */
function withHome(config: Config, environment: NodeJS.ProcessEnv): Config {
  const expanded = (given: string): string => expandHome(given, environment);
  const orNull = (given: string | null): string | null => (given === null ? null : expanded(given));
  const { models, worker, cluster } = config;
  return {
    ...config,
    models: {
      ...models,
      directory: orNull(models.directory),
      searchDirectories: models.searchDirectories.map(expanded),
      custom: models.custom.map((model) =>
        model.path === undefined ? model : { ...model, path: expanded(model.path) },
      ),
    },
    worker: { ...worker, python: orNull(worker.python) },
    cluster: { ...cluster, tokenFile: orNull(cluster.tokenFile) },
  };
}

/** A value given as text (flag, environment, `config set`), as the JSON value that the key takes. */
export function parseSetting(setting: Setting, value: string | boolean): unknown {
  if (typeof value === 'boolean') return value;
  const types = jsonTypes(setting);
  if (types.has('null') && (value === '' || value === 'null')) return null;
  if (types.has('boolean') && /^(true|1|yes|on)$/i.test(value)) return true;
  if (types.has('boolean') && /^(false|0|no|off)$/i.test(value)) return false;
  if ((types.has('integer') || types.has('number')) && value.trim() !== '' && !Number.isNaN(Number(value))) {
    return Number(value);
  }
  if (types.has('object') || (types.has('array') && value.trimStart().startsWith('['))) return jsonOrText(value);
  if (types.has('array')) return value === '' ? [] : value.split(',').map((part) => part.trim());
  return value;
}

/** JSON where it is JSON, else the text itself. */
export function jsonOrText(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function environmentOverrides(environment: NodeJS.ProcessEnv): Override[] {
  const overrides: Override[] = [];
  for (const [name, value] of Object.entries(environment)) {
    const section = sections.find((candidate) => name.startsWith(`ASRPRO_${candidate.toUpperCase()}_`));
    if (section === undefined || value === undefined) continue;
    const setting = settings.find((candidate) => candidate.environment === name);
    if (!setting) {
      const names = settings.filter((candidate) => candidate.section === section).map(({ environment }) => environment);
      throw unknownName(`The environment variable ${name} sets nothing`, name, names);
    }
    overrides.push({ key: setting.key, value, source: `environment ${name}` });
  }
  return overrides;
}

function unknownKey(path: string[], name: string, source: string): AsrproError {
  const key = [...path, name].join('.');
  const names = path.length === 0 ? sections : settings.filter(({ section }) => section === path[0]).map((s) => s.name);
  return path.length > 1
    ? new AsrproError('invalid_config', `${key} (${source}): there is no such key.`, { param: key })
    : unknownName(`${key} (${source}): there is no such key`, name, names, key);
}

function unknownName(what: string, name: string, allowed: readonly string[], param = name): AsrproError {
  const meant = nearest(name, allowed);
  return new AsrproError(
    'invalid_config',
    `${what}${meant ? `; did you mean ${meant}?` : '.'} Allowed: ${allowed.join(', ')}.`,
    { param },
  );
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
