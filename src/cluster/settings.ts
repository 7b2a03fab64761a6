import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Paths } from '../config/paths.ts';
import { type Config, HEAD_ADDRESS } from '../config/schema.ts';
import type { LoadMessage } from '../wire/messages.ts';

/** The default port of Ray's head; the documentation and deploy/ open this one. */
export const HEAD_PORT = 6379;

/** HOST:PORT, with an IPv6 address in brackets: the same rule as in the configuration. */
export function isHeadAddress(text: string): boolean {
  return HEAD_ADDRESS.test(text);
}

/** The shared secret of all processes of the cluster. Anyone who has it can run any program on all machines. */
export interface ClusterToken {
  /** Environment variables for Ray. */
  environment: Record<string, string>;
  /** Where the token comes from, for messages. */
  source: string;
  present: boolean;
}

export function clusterToken({ cluster }: Pick<Config, 'cluster'>, paths: Pick<Paths, 'data'>): ClusterToken {
  if (cluster.token !== null) {
    return { environment: { RAY_AUTH_TOKEN: cluster.token }, source: 'cluster.token', present: true };
  }
  const file = path.resolve(tokenFile({ cluster }, paths));
  return { environment: { RAY_AUTH_TOKEN_PATH: file }, source: file, present: hasContent(file) };
}

export function tokenFile({ cluster }: Pick<Config, 'cluster'>, paths: Pick<Paths, 'data'>): string {
  return cluster.tokenFile ?? path.join(paths.data, 'cluster', 'token');
}

/** Environment variables for each process that starts Ray or connects to it: the token, and no usage reports. */
export function rayEnvironment(config: Pick<Config, 'cluster'>, paths: Pick<Paths, 'data'>): Record<string, string> {
  const { environment } = clusterToken(config, paths);
  return { RAY_AUTH_MODE: 'token', RAY_USAGE_STATS_ENABLED: '0', ...environment };
}

/** The `cluster` field of a load message; null without a configured cluster. */
export function loadOnCluster(
  { cluster: { address, replicas } }: Pick<Config, 'cluster'>,
  { engine, id }: { engine: string; id: string },
): LoadMessage['cluster'] {
  return address === null ? null : { address, replicas, engine, model: id };
}

function hasContent(file: string): boolean {
  try {
    return existsSync(file) && readFileSync(file, 'utf8').trim() !== '';
  } catch {
    return false;
  }
}
