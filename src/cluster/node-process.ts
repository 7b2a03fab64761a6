import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Paths } from '../config/paths.ts';

/** How often is looked, in milliseconds. */
const LOOK_MS = 1_000;
/** The variable by which the processes of a node are known, and the worker's `cluster/node.py` too. */
export const NODE_MARK = 'ASRPRO_CLUSTER_NODE';

/** Resolves when there is no node of this data directory any more, or on abort. One whose head is gone ends after a minute. */
export async function endOfNode(paths: Pick<Paths, 'data'>, signal: AbortSignal): Promise<void> {
  const mark = `${NODE_MARK}=${path.join(paths.data, 'cluster')}`;
  while (!signal.aborted && hasNode(mark)) await pause(LOOK_MS, undefined, { signal }).catch(() => undefined);
}

/** Each node has one `raylet`. */
function hasNode(mark: string): boolean {
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    const [program = ''] = contents(`/proc/${pid}/cmdline`);
    return path.basename(program) === 'raylet' && contents(`/proc/${pid}/environ`).includes(mark);
  });
}

/** Empty for a process that has ended, or is of somebody else. */
function contents(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\0');
  } catch {
    return [];
  }
}
