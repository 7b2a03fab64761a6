import { z } from 'zod';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { clusterEngine, whyNotHere } from '../engine-table.ts';
import { type Ended, runProgram } from '../engines/run-program.ts';
import type { Engines } from '../engines/types.ts';
import { AsrproError } from '../errors.ts';
import { clusterNode } from '../wire/messages.ts';
import { publicWords } from '../worker/exit.ts';
import { pythonOfOurs } from '../worker/python.ts';
import { unreachable } from './cluster.ts';
import { rayEnvironment } from './settings.ts';

export interface NodeOptions {
  config: Config;
  paths: Paths;
  engines: Pick<Engines, 'interpreter'>;
  /** Folder that holds `src/asrpro_worker`. */
  runtimeRoot: string;
  environment: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
  onLine?(line: string): void;
}

/** What `status` says. */
export const clusterStatus = z.object({
  nodes: z.array(clusterNode),
  pieces_per_second: z.number().nullable().default(null),
});
export type ClusterStatus = z.infer<typeof clusterStatus>;

/** Ray's own patience with a head is a minute; in milliseconds. */
const STATUS_MS = 30_000;

/**
 * Runs a command of the node, `python -m asrpro_worker.cluster …`, in the environment of the cluster. Throws
 * `engine_unsupported`, `engine_not_installed`.
 */
export async function runNodeCommand(args: readonly string[], options: NodeOptions, limitMs?: number): Promise<Ended> {
  const { config, paths, engines, runtimeRoot, environment, signal, onLine } = options;
  requireSystem();
  const { python, env } = await engines.interpreter(clusterEngine.environment);
  const seen = pythonOfOurs(runtimeRoot, { ...environment, ...env, ...rayEnvironment(config, paths) });
  return await runProgram(python, ['-s', '-m', 'asrpro_worker.cluster', ...args], {
    environment: seen,
    signal,
    ...(limitMs === undefined ? {} : { limitMs }),
    ...(onLine === undefined ? {} : { onLine }),
  });
}

/** Machines, replicas, models and how much they do. Throws `cluster_unreachable` as well. */
export async function askStatus(address: string, options: NodeOptions): Promise<ClusterStatus> {
  const ended = await runNodeCommand(['status', '--address', address, '--json'], options, STATUS_MS);
  const parsed = clusterStatus.safeParse(lastJson(ended.stdout));
  if (!ended.failed && parsed.success) return parsed.data;
  const words = ended.cause ?? publicWords(ended.output);
  throw unreachable(`The cluster does not say how it is${words === '' ? '.' : `: ${words.replace(/\.$/, '')}.`}`);
}

/** Throws `engine_unsupported`. */
export function requireSystem(): void {
  const reason = whyNotHere(clusterEngine.environment);
  if (reason !== null) throw new AsrproError('engine_unsupported', reason);
}

/** Ray writes what it likes before it. */
function lastJson(stdout: string): unknown {
  try {
    return JSON.parse(stdout.slice(stdout.indexOf('{')));
  } catch {
    return null;
  }
}
