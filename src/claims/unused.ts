import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { look } from './claim.mjs';

/** The name of the shared claim inside a folder that several processes use. */
export const IN_USE = '.in-use';

/** How long folders of other versions are kept after their last use, in milliseconds. */
const UNUSED_MS = 30 * 24 * 3600 * 1000;

/** Removes a folder that no process holds and that was not used for `afterMs`. Leaves one that cannot be removed. */
export async function removeIfUnused(folder: string, afterMs: number = UNUSED_MS): Promise<void> {
  if (Date.now() - lastUse(folder) < afterMs || (await isInUse(folder))) return;
  const moved = aside(folder);
  try {
    renameSync(folder, moved);
    // Another process may have started to use it in between.
    if (await isInUse(moved)) renameSync(moved, folder);
    else rmSync(moved, { recursive: true, force: true });
  } catch {
    // It belongs to another user, or a program has it open.
  }
}

/** A unique path beside the folder, to which it is moved before its removal. */
export function aside(folder: string): string {
  return `${folder}.old-${randomBytes(4).toString('hex')}`;
}

async function isInUse(folder: string): Promise<boolean> {
  return (await look(path.join(folder, IN_USE))) === 'held';
}

/** Taking and releasing a claim changes the modification time. */
function lastUse(folder: string): number {
  const times = [folder, path.join(folder, IN_USE)].map(
    (one) => statSync(one, { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return Math.max(...times);
}
