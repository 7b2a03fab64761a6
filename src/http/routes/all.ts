import type { HttpServerDeps } from '../deps.ts';
import type { Operation } from '../operation.ts';
import { audioRoutes } from './audio.ts';
import { deviceRoutes } from './devices.ts';
import { docsRoutes } from './docs.ts';
import { downloadRoutes } from './downloads.ts';
import { engineRoutes } from './engines.ts';
import { healthRoutes } from './health.ts';
import { modelRoutes } from './models.ts';
import { settingsRoutes } from './settings.ts';

/**
 * Every call of the API, in the order of /docs.
 *
 * @param closing aborts when the server stops.
 */
export function operations(deps: HttpServerDeps, closing?: AbortSignal): Operation[] {
  const calls = [
    ...audioRoutes(deps, closing),
    ...modelRoutes(deps),
    ...downloadRoutes(deps),
    ...settingsRoutes(deps),
    ...engineRoutes(deps),
    ...deviceRoutes(deps),
    ...healthRoutes(deps),
  ];
  return [...calls, ...docsRoutes(calls, deps.version)];
}
