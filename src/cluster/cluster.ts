import { AsrproError } from '../errors.ts';
import type { ClusterNode, ClusterReport } from '../wire/messages.ts';
import { whyNoHead } from './head.ts';

/** What `/health` says of the cluster. */
export interface ClusterHealth {
  /** null: not known yet. */
  reachable: boolean | null;
  /** Why it is out of reach, as one sentence. */
  reason: string | null;
  /** Living machines, and replicas of the loaded model; null while no worker is connected. */
  nodes: number | null;
  replicas: number | null;
}

/** The cluster that `cluster.address` names, as far as this gateway knows it. */
export interface Cluster {
  /** From memory. What is older than a moment is looked up behind it, and while nobody asks nobody looks. */
  health(): ClusterHealth;
  /** The machines. Throws `cluster_unreachable`, `engine_not_installed`. */
  nodes(): Promise<ClusterNode[]>;
  /** Throws `cluster_unreachable` where nobody listens: before a process is started for nothing. */
  requireHead(): Promise<void>;
  /** What the connected worker says; null: it has ended. */
  heard(report: ClusterReport | null): void;
}

export interface ClusterOptions {
  address: string;
  /** Asks Ray, in a process of its own. Throws `engine_not_installed`, `cluster_unreachable`. */
  ask(): Promise<ClusterNode[]>;
}

/** How old a look may be, in milliseconds. */
const FRESH_MS = 2_000;
/** A head that is started anew is there after so many seconds at the earliest. */
const RETRY_SECONDS = 5;

export function createCluster({ address, ask }: ClusterOptions): Cluster {
  /** Of the connected worker: it knows more than a look. */
  let report: ClusterReport | null = null;
  /** Of the last look: why nobody answered. `undefined`: not looked yet. */
  let missing: string | null | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<string | null> | null = null;

  const look = (): Promise<string | null> => {
    looking ??= whyNoHead(address).then((why) => {
      missing = why;
      lookedAt = performance.now();
      looking = null;
      return why;
    });
    return looking;
  };
  /** Everybody may ask for `/health`: where the head is, is not everybody's business. */
  const publicReason = (reason: string | null): string => (reason ?? OUT_OF_REACH).replaceAll(` at ${address}`, '');
  // Known before the first who asks, in nearly all cases.
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
      const reachable = missing === undefined ? null : missing === null;
      return { reachable, reason: missing ?? null, nodes: null, replicas: null };
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
    heard(next) {
      // The word of a worker that went with its cluster is in force until somebody has looked again.
      if (next === null && report?.reachable === false) {
        missing = publicReason(report.reason);
        lookedAt = performance.now();
      }
      report = next;
    },
  };
}

const OUT_OF_REACH = 'The cluster is out of reach.';

function unreachable(why: string): AsrproError {
  return new AsrproError('cluster_unreachable', why, {
    hint: '`asrpro cluster status` on this machine tells more.',
    retryAfterSeconds: RETRY_SECONDS,
  });
}
