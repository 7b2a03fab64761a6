import { AsrproError } from '../errors.ts';
import type { ClusterNode, ClusterReport } from '../wire/messages.ts';
import { whyHeadUnreachable } from './head.ts';

/** What `/health` reports about the cluster. */
export interface ClusterHealth {
  /** null: not known yet. */
  reachable: boolean | null;
  /** Why it is unreachable, as one sentence. */
  reason: string | null;
  /** Living machines, and replicas of the loaded model; null while no worker is connected. */
  nodes: number | null;
  replicas: number | null;
}

/** What this gateway knows about the cluster that `cluster.address` names. */
export interface Cluster {
  /** Answers from memory. If that is older than 2 s, it also starts a new check, so checks happen only on demand. */
  health(): ClusterHealth;
  /** The machines of the cluster. Throws `cluster_unreachable`, `engine_not_installed`. */
  nodes(): Promise<ClusterNode[]>;
  /** Throws `cluster_unreachable` if nothing listens at the address. Called before a worker is started. */
  requireHead(): Promise<void>;
  /** The latest report of the connected worker; null when the worker has ended. */
  onReport(report: ClusterReport | null): void;
}

export interface ClusterOptions {
  address: string;
  /** Asks Ray in a separate process. Throws `engine_not_installed`, `cluster_unreachable`. */
  ask(): Promise<ClusterNode[]>;
}

/** Maximum age of a check, in milliseconds. */
const FRESH_MS = 2_000;
/** A restarted head takes at least this long to accept connections. */
const RETRY_SECONDS = 5;

export function createCluster({ address, ask }: ClusterOptions): Cluster {
  /** From the connected worker, which knows more than a connection check. */
  let report: ClusterReport | null = null;
  /** Result of the last check: the reason for a failure, null for success, undefined before the first check. */
  let lookResult: string | null | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<string | null> | null = null;

  const look = (): Promise<string | null> => {
    looking ??= whyHeadUnreachable(address).then((why) => {
      lookResult = why;
      lookedAt = performance.now();
      looking = null;
      return why;
    });
    return looking;
  };
  /** `/health` needs no API key, so it must not reveal the head's address. */
  const publicReason = (reason: string | null): string => (reason ?? UNREACHABLE).replaceAll(` at ${address}`, '');
  // So that the first `/health` request usually has a result already.
  void look();

  return {
    health() {
      if (report !== null) {
        const alive = report.nodes.filter((node) => node.alive);
        const replicas = alive.reduce((sum, node) => sum + node.replicas, 0);
        const { reachable, reason } = report;
        return reachable
          ? { reachable, reason: null, nodes: alive.length, replicas }
          : { reachable, reason: publicReason(reason), nodes: null, replicas: null };
      }
      if (looking === null && performance.now() - lookedAt > FRESH_MS) void look();
      const reachable = lookResult === undefined ? null : lookResult === null;
      return { reachable, reason: lookResult ?? null, nodes: null, replicas: null };
    },
    async nodes() {
      if (report?.reachable) return report.nodes;
      await this.requireHead();
      return await ask();
    },
    async requireHead() {
      const why = await look();
      if (why !== null) throw unreachable(why);
    },
    onReport(next) {
      // A worker that lost its cluster has ended: keep its reason until the next check.
      if (next === null && report?.reachable === false) {
        lookResult = publicReason(report.reason);
        lookedAt = performance.now();
      }
      report = next;
    },
  };
}

const UNREACHABLE = 'The cluster is unreachable.';

function unreachable(why: string): AsrproError {
  return new AsrproError('cluster_unreachable', why, {
    hint: 'Run `asrpro cluster status` on this machine for details.',
    retryAfterSeconds: RETRY_SECONDS,
  });
}
