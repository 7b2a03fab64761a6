import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Paths } from '../config/paths.ts';

/** Polling interval, in milliseconds. */
const POLL_MS = 1_000;
/** The environment variable that marks the processes of a node; `cluster/node.py` sets it. */
export const NODE_MARK = 'ASRPRO_CLUSTER_NODE';

/** Resolves when the node of this data directory has ended, or on abort. A node ends a minute after its head. */
export async function endOfNode(paths: Pick<Paths, 'data'>, signal: AbortSignal): Promise<void> {
  const mark = `${NODE_MARK}=${path.join(paths.data, 'cluster')}`;
  while (!signal.aborted && hasNode(mark)) await pause(POLL_MS, undefined, { signal }).catch(() => undefined);
}

/** Each node has exactly one `raylet` process. */
function hasNode(mark: string): boolean {
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    const [program = ''] = contents(`/proc/${pid}/cmdline`);
    return path.basename(program) === 'raylet' && contents(`/proc/${pid}/environ`).includes(mark);
  });
}

/** Empty for a process that has ended, or that belongs to another user. */
function contents(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\0');
  } catch {
    return [];
  }
}
