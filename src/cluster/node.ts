import { z } from 'zod';
import type { Paths } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { clusterEngine, environmentUnsupported } from '../engine-table.ts';
import { runProgram } from '../engines/run-program.ts';
import type { Engines } from '../engines/types.ts';
import { AsrproError, type ErrorCode, errorKinds } from '../errors.ts';
import { clusterNode } from '../wire/messages.ts';
import { publicLastLine } from '../worker/exit.ts';
import { runtimeEnvironment } from '../worker/python.ts';
import { rayEnvironment } from './settings.ts';

export interface NodeOptions {
  config: Config;
  paths: Paths;
  engines: Pick<Engines, 'interpreter'>;
  /** The folder that contains `src/asrpro_worker`. */
  runtimeRoot: string;
  environment: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
}

/** Output of `start`. */
const startedNode = z.object({
  /** Address of the head, at which the other machines reach it. */
  address: z.string(),
  head: z.boolean(),
  slots: z.int(),
  /** Ports that must be open between the machines of the cluster, by name. */
  ports: z.record(z.string(), z.string()),
  token_file: z.string(),
});
export type StartedNode = z.infer<typeof startedNode>;

/** Output of `status`. */
const clusterStatus = z.object({
  ray: z.string(),
  nodes: z.array(clusterNode),
  models: z.array(z.object({ model: z.string(), wanted: z.int(), gateways: z.int() })),
  pieces_per_second: z.number(),
});
export type ClusterStatus = z.infer<typeof clusterStatus>;

const stoppedNode = z.object({ ended: z.int() });

/** In milliseconds. Ray itself waits a minute for a head that does not answer. */
const STATUS_TIMEOUT_MS = 45_000;

/** Machines, replicas, models and throughput. Throws `cluster_unreachable`, `engine_not_installed`. */
export async function askStatus(address: string, options: NodeOptions): Promise<ClusterStatus> {
  return await runCommand(['status', '--address', address], clusterStatus, options, STATUS_TIMEOUT_MS);
}

/** Makes this machine a node. @param flags flags of the Python command. Throws `cluster_unreachable`, `usage`. */
export async function startNode(flags: readonly string[], options: NodeOptions): Promise<StartedNode> {
  return await runCommand(['start', ...flags], startedNode, options);
}

/** Ends all processes of this machine's node; returns their number. */
export async function stopNode(options: NodeOptions): Promise<number> {
  return (await runCommand(['stop'], stoppedNode, options)).ended;
}

/** Throws `engine_unsupported` where the cluster does not run on this system. */
export function requireSystem(): void {
  const reason = environmentUnsupported(clusterEngine.environment);
  if (reason !== null) throw new AsrproError('engine_unsupported', reason);
}

/** Runs `python -m asrpro_worker.cluster …` in the cluster's engine environment; the command prints one line of JSON. */
async function runCommand<Schema extends z.ZodType>(
  args: readonly string[],
  schema: Schema,
  options: NodeOptions,
  limitMs?: number,
): Promise<z.infer<Schema>> {
  const { config, paths, engines, runtimeRoot, environment, signal } = options;
  requireSystem();
  const { python, env } = await engines.interpreter(clusterEngine.environment);
  const ended = await runProgram(python, ['-s', '-m', 'asrpro_worker.cluster', ...args], {
    environment: runtimeEnvironment(runtimeRoot, { ...environment, ...env, ...rayEnvironment(config, paths) }),
    signal,
    ...(limitMs === undefined ? {} : { limitMs }),
  });
  const answer = schema.safeParse(lastJson(ended.stdout));
  if (!ended.failed && answer.success) return answer.data;
  throw failureOf(lastJson(ended.output), ended.cause ?? publicLastLine(ended.output));
}

const failure = z.object({ code: z.string(), message: z.string() });

function failureOf(report: unknown, output: string): AsrproError {
  const { success, data } = failure.safeParse(report);
  if (!success)
    return new AsrproError('cluster_unreachable', `The cluster command failed: ${output || 'it printed nothing'}.`);
  if (data.code === 'invalid_request') return new AsrproError('usage', data.message);
  const known = Object.hasOwn(errorKinds, data.code) ? (data.code as ErrorCode) : 'internal_error';
  return new AsrproError(known, data.message);
}

/** Parses the last line: Ray prints log lines before it. */
function lastJson(output: string): unknown {
  try {
    return JSON.parse(output.trim().split('\n').at(-1)!);
  } catch {
    return null;
  }
}
