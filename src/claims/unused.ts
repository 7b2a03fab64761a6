import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { look } from './claim.mjs';

/** In a folder that several processes use: each of them holds it. */
export const IN_USE = '.in-use';

/** What other versions have stays for so long after its last use, in milliseconds. */
const UNUSED_MS = 30 * 24 * 3600 * 1000;

/**
 * Removes a folder that nobody holds and that was not used for a month, or for `afterMs`. One that cannot be removed stays: the
 * next caller tries again.
 */
export async function removeIfUnused(folder: string, afterMs: number = UNUSED_MS): Promise<void> {
  if (Date.now() - lastUse(folder) < afterMs || (await isInUse(folder))) return;
  const gone = aside(folder);
  try {
    renameSync(folder, gone);
    // Somebody may have begun to use it meanwhile.
    if (await isInUse(gone)) renameSync(gone, folder);
    else rmSync(gone, { recursive: true, force: true });
  } catch {
    // It belongs to another user, or a program has it open.
  }
}

/** A name beside the folder for what is on its way out. */
export function aside(folder: string): string {
  return `${folder}.old-${randomBytes(4).toString('hex')}`;
}

async function isInUse(folder: string): Promise<boolean> {
  return (await look(path.join(folder, IN_USE))) === 'held';
}

/** Holding a folder and letting it go change its time. */
function lastUse(folder: string): number {
  const times = [folder, path.join(folder, IN_USE)].map(
    (one) => statSync(one, { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return Math.max(...times);
}
