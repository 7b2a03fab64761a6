import path from 'node:path';
import envPaths from 'env-paths';

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

export function resolvePaths(environment: NodeJS.ProcessEnv = process.env): Paths {
  const home = environment.ASRPRO_HOME;
  const base = home
    ? {
        config: path.resolve(home),
        data: path.resolve(home),
        cache: path.resolve(home, 'cache'),
        log: path.resolve(home, 'logs'),
      }
    : envPaths('asrpro', { suffix: '' });
  return {
    configFile: path.join(base.config, 'config.json'),
    data: base.data,
    models: path.join(base.data, 'models'),
    engines: path.join(base.data, 'engines'),
    logs: base.log,
    cache: base.cache,
    run: path.join(base.data, 'run'),
  };
}
