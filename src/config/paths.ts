import path from 'node:path';
import { AsrproError } from '../errors.ts';
import { expandHome, namesOtherHome, ONLY_OWN_HOME, requireHome } from './home.ts';
import type { Config } from './schema.ts';

/** The directories of asrpro: all under ASRPRO_HOME if it is set, else the platform's usual directories. */
export interface Paths {
  configFile: string;
  /** Persistent files, such as `state.json`. */
  data: string;
  models: string;
  engines: string;
  logs: string;
  /** May be deleted at any time. */
  cache: string;
  /** Has one private folder for each running gateway, with its sockets and spooled uploads. */
  run: string;
}

type Base = { config: string; data: string; cache: string; logs: string };

/** Throws `folder_unusable` if the directories are below the home directory and the user has none. */
export function resolvePaths(environment: NodeJS.ProcessEnv = process.env): Paths {
  const home = environment.ASRPRO_HOME?.trim();
  const { config, data, cache, logs } = home
    ? oneFolder(path.resolve(givenPath(home, 'ASRPRO_HOME', environment)))
    : usualDirectories(environment);
  return {
    configFile: path.join(config, 'config.json'),
    models: path.join(data, 'models'),
    engines: path.join(data, 'engines'),
    run: path.join(data, 'run'),
    ...{ data, logs, cache },
  };
}

/** `models.directory` of the configuration, else the folder in the data directory. */
export function modelsDirectory({ models }: Config, paths: Paths): string {
  return models.directory === null ? paths.models : path.resolve(models.directory);
}

/** Resolves `~` in a path from a flag or the environment. Throws `invalid_config` for another user's home. */
export function givenPath(given: string, source: string, environment: NodeJS.ProcessEnv): string {
  if (!namesOtherHome(given)) return expandHome(given, environment);
  throw new AsrproError('invalid_config', `${source}: "${given}" is not allowed: ${ONLY_OWN_HOME}.`, { param: source });
}

function oneFolder(home: string): Base {
  return { config: home, data: home, cache: path.join(home, 'cache'), logs: path.join(home, 'logs') };
}

/**
 * Computed at every call. The executable starts from a heap snapshot, so a package that reads the home directory when it is
 * imported (`env-paths` does) would return the home of the machine that built the executable.
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
