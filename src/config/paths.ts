import path from 'node:path';
import { AsrproError } from '../errors.ts';
import { expandHome, namesOtherHome, ONLY_OWN_HOME, requireHome } from './home.ts';
import type { Config } from './schema.ts';

/** Where things live. All under ASRPRO_HOME when that is set, else in the platform's usual directories. */
export interface Paths {
  configFile: string;
  /** What must survive: `state.json`. */
  data: string;
  models: string;
  engines: string;
  logs: string;
  /** What may be deleted at any time. */
  cache: string;
  /** One private folder for each running gateway: sockets, spooled uploads. */
  run: string;
}

type Base = { config: string; data: string; cache: string; logs: string };

/** Throws `folder_unusable` where the directories would be below a home that nobody knows. */
export function resolvePaths(environment: NodeJS.ProcessEnv = process.env): Paths {
  const { config, data, cache, logs } = environment.ASRPRO_HOME
    ? oneFolder(path.resolve(givenPath(environment.ASRPRO_HOME, 'ASRPRO_HOME', environment)))
    : usualDirectories(environment);
  return {
    configFile: path.join(config, 'config.json'),
    models: path.join(data, 'models'),
    engines: path.join(data, 'engines'),
    run: path.join(data, 'run'),
    ...{ data, logs, cache },
  };
}

/** Where models are stored: where the configuration says, else the data directory. */
export function modelsDirectory({ models }: Config, paths: Paths): string {
  return models.directory === null ? paths.models : path.resolve(models.directory);
}

/** A path that a flag or the environment gives. Throws `invalid_config` for another user's home. */
export function givenPath(given: string, source: string, environment: NodeJS.ProcessEnv): string {
  if (!namesOtherHome(given)) return expandHome(given, environment);
  throw new AsrproError('invalid_config', `${source}: "${given}" is not allowed: ${ONLY_OWN_HOME}.`, { param: source });
}

function oneFolder(home: string): Base {
  return { config: home, data: home, cache: path.join(home, 'cache'), logs: path.join(home, 'logs') };
}

/**
 * Looked up at every call, by the running process: the executable starts from a snapshot of the machine that built it, so
 * a package that asks for the home while it is imported would give that of its builder.
 */
function usualDirectories(environment: NodeJS.ProcessEnv): Base {
  const below = (variable: string, ...parts: string[]): string => {
    const given = environment[variable];
    return given && path.isAbsolute(given) ? given : path.join(requireHome(environment), ...parts);
  };
  if (process.platform === 'darwin') {
    const library = path.join(requireHome(environment), 'Library');
    const folder = (name: string): string => path.join(library, name, 'asrpro');
    return {
      config: folder('Preferences'),
      data: folder('Application Support'),
      cache: folder('Caches'),
      logs: folder('Logs'),
    };
  }
  if (process.platform === 'win32') {
    const local = path.join(below('LOCALAPPDATA', 'AppData', 'Local'), 'asrpro');
    return {
      config: path.join(below('APPDATA', 'AppData', 'Roaming'), 'asrpro', 'Config'),
      data: path.join(local, 'Data'),
      cache: path.join(local, 'Cache'),
      logs: path.join(local, 'Log'),
    };
  }
  return {
    config: path.join(below('XDG_CONFIG_HOME', '.config'), 'asrpro'),
    data: path.join(below('XDG_DATA_HOME', '.local', 'share'), 'asrpro'),
    cache: path.join(below('XDG_CACHE_HOME', '.cache'), 'asrpro'),
    logs: path.join(below('XDG_STATE_HOME', '.local', 'state'), 'asrpro'),
  };
}
