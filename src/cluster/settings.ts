import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Paths } from '../config/paths.ts';
import { type Config, HEAD_ADDRESS } from '../config/schema.ts';
import type { LoadMessage } from '../wire/messages.ts';

/** Where Ray's head listens when nothing else is said, and what the documentation and deploy/ open. */
export const HEAD_PORT = 6379;

/** HOST:PORT, an IPv6 address in brackets; the configuration takes the same. */
export function isHeadAddress(text: string): boolean {
  return HEAD_ADDRESS.test(text);
}

/** The secret that every process of the cluster shows the others. Whoever has it may run any program on all machines. */
export interface ClusterToken {
  /** What the variables of Ray are set to. */
  environment: Record<string, string>;
  /** Where it comes from, for people. */
  source: string;
  present: boolean;
}

export function clusterToken({ cluster }: Pick<Config, 'cluster'>, paths: Pick<Paths, 'data'>): ClusterToken {
  if (cluster.token !== null) {
    return { environment: { RAY_AUTH_TOKEN: cluster.token }, source: 'cluster.token', present: true };
  }
  const file = path.resolve(tokenFile({ cluster }, paths));
  return { environment: { RAY_AUTH_TOKEN_PATH: file }, source: file, present: isThere(file) };
}

export function tokenFile({ cluster }: Pick<Config, 'cluster'>, paths: Pick<Paths, 'data'>): string {
  return cluster.tokenFile ?? path.join(paths.data, 'cluster', 'token');
}

/** What a process that starts Ray or connects to it sees besides its own: who it is, and that nothing is reported to Ray's makers. */
export function rayEnvironment(config: Pick<Config, 'cluster'>, paths: Pick<Paths, 'data'>): Record<string, string> {
  const { environment } = clusterToken(config, paths);
  return { RAY_AUTH_MODE: 'token', RAY_USAGE_STATS_ENABLED: '0', ...environment };
}

/** What a worker is told with a model that shall run on the cluster. */
export function loadOnCluster(
  { cluster: { address, replicas } }: Pick<Config, 'cluster'>,
  { engine, id }: { engine: string; id: string },
): LoadMessage['cluster'] {
  return address === null ? null : { address, replicas, engine, model: id };
}

function isThere(file: string): boolean {
  try {
    return existsSync(file) && readFileSync(file, 'utf8').trim() !== '';
  } catch {
    return false;
  }
}
