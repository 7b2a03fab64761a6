import { AsrproError } from '../errors.ts';
import { readConfigFile, type Sections } from './file.ts';
import { expandHome } from './home.ts';
import { nearest } from './nearest.ts';
import { type Config, configSchema } from './schema.ts';
import { allowedValues, findSetting, jsonTypes, SECRETS, type Setting, sections, settings } from './settings.ts';

/** A setting from a flag or from the environment, as text. */
export interface Override {
  /** `server.port` */
  key: string;
  value: string | boolean;
  /** Its origin for error messages, for example `flag --port`. */
  source: string;
}

export interface LoadedConfig {
  config: Config;
  /** Origin of each key: `flag --port`, `environment ASRPRO_SERVER_PORT`, the path of the file, or `default`. */
  sources: Record<string, string>;
}

export interface ConfigOrigin {
  file: string;
  /** The user named the file, so it must exist. */
  fileRequired?: boolean;
  environment: NodeJS.ProcessEnv;
  flags: Override[];
  /** Ids of the catalogue, which models of `models.custom` must not use. */
  catalogueIds?: readonly string[];
}

/**
 * The effective configuration. Precedence: flags, environment, file, defaults. Throws `invalid_config`, whose message names
 * the key, the origin of its value and the allowed values. Writes nothing.
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

/** `sources` has the origins of values; a key that it does not contain comes from the file. */
type Validation = Pick<ConfigOrigin, 'file' | 'catalogueIds'> & { sources: Record<string, string> };

/** Validates a whole configuration. Throws `invalid_config` for the first issue. */
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
      ? `${key} (${source}): ${shown(value, setting)} is not allowed; give ${allowedValues(setting)}.`
      : `${key} (${source}): ${shown(value, setting)} is not allowed: ${issue.message}.`,
    { param: key, hint: setting?.description },
  );
}

/** Refuses custom models with the id of another model: only one of the two could be used. */
function requireOwnIds({ models }: Config, catalogueIds: readonly string[], source: string): void {
  const taken = new Set(catalogueIds);
  for (const [index, { id }] of models.custom.entries()) {
    const key = `models.custom.${index}.id`;
    const owner = catalogueIds.includes(id) ? 'the catalogue has' : 'the list has';
    if (taken.has(id)) {
      const message = `${key} (${source}): "${id}" is not allowed: ${owner} another model with this id.`;
      throw new AsrproError('invalid_config', message, { param: key, hint: 'Give the model another id.' });
    }
    taken.add(id);
  }
}

/** Replaces `~` in all settings that are paths. */
function withHome(config: Config, environment: NodeJS.ProcessEnv): Config {
  const expanded = (value: string): string => expandHome(value, environment);
  const orNull = (value: string | null): string | null => (value === null ? null : expanded(value));
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

/**
 * Converts text (from a flag, the environment or `config set`) to the JSON type of the key. White space at its ends is never
 * meant: `$(cat file)` of a secret or `set NAME=value && …` on Windows adds it.
 */
export function parseSetting(setting: Setting, given: string | boolean): unknown {
  if (typeof given === 'boolean') return given;
  const value = given.trim();
  const types = jsonTypes(setting);
  if (types.has('null') && (value === '' || value === 'null')) return null;
  if (types.has('boolean') && /^(true|1|yes|on)$/i.test(value)) return true;
  if (types.has('boolean') && /^(false|0|no|off)$/i.test(value)) return false;
  if ((types.has('integer') || types.has('number')) && value !== '' && Number.isFinite(Number(value))) {
    return Number(value);
  }
  if (types.has('object') || (types.has('array') && value.startsWith('['))) return jsonOrText(value);
  if (types.has('array')) {
    const parts = value.split(',').map((part) => part.trim());
    return parts.filter((part) => part !== '');
  }
  return value;
}

/** Parses the text as JSON, or returns it if it is not JSON. */
export function jsonOrText(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** Kubernetes sets such variables in every pod beside a service with a name like `asrpro-server`. They are no settings. */
function isServiceLink(name: string, value: string): boolean {
  const isName = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/.test(name);
  return isName || (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value));
}

function environmentOverrides(environment: NodeJS.ProcessEnv): Override[] {
  const overrides: Override[] = [];
  for (const [name, value] of Object.entries(environment)) {
    const section = sections.find((candidate) => name.startsWith(`ASRPRO_${candidate.toUpperCase()}_`));
    if (section === undefined || value === undefined || isServiceLink(name, value)) continue;
    const setting = settings.find((candidate) => candidate.environment === name);
    if (!setting) {
      const names = settings.filter((candidate) => candidate.section === section).map(({ environment }) => environment);
      throw unknownName(`The environment variable ${name} is not a setting`, name, names);
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

/** The value for a message, which ends up in logs and bug reports. */
function shown(value: unknown, setting: Setting | undefined): string {
  if (setting !== undefined && SECRETS.has(setting.key)) return 'its value';
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
