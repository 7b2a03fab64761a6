import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isAlive, ownIdentity, type ProcessIdentity } from '../process-identity.ts';

/** How often somebody who waits looks again, in milliseconds. */
const LOOK_AGAIN_MS = 250;

/**
 * One process at a time. The lock is a folder that comes into being by a rename, with the owner's name in it, so it needs
 * no timer to stay valid, and one whose owner was killed is taken over at once.
 *
 * @param folder becomes the lock; its parent exists.
 * @param onWait called each time that another living process was found to hold it.
 * @returns gives it back.
 */
export async function takeLock(folder: string, signal: AbortSignal, onWait: () => void): Promise<() => void> {
  const mine = `${folder}-${randomUUID()}`;
  mkdirSync(mine);
  writeFileSync(path.join(mine, 'owner'), JSON.stringify(ownIdentity()));
  try {
    for (;;) {
      signal.throwIfAborted();
      if (rename(mine, folder)) return () => rmSync(folder, { recursive: true, force: true });
      const owner = readOwner(folder);
      if (owner !== null && !isAlive(owner)) discardDead(folder, owner);
      else {
        onWait();
        await pause(LOOK_AGAIN_MS, undefined, { signal });
      }
    }
  } catch (error) {
    rmSync(mine, { recursive: true, force: true });
    throw error;
  }
}

/** Whether it worked; a folder with something in it is never replaced. */
function rename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/** Moves it away and looks again: between the look and the move, another process may have taken it over. */
function discardDead(folder: string, dead: ProcessIdentity): void {
  const aside = `${folder}-${randomUUID()}`;
  try {
    renameSync(folder, aside);
  } catch {
    return;
  }
  const owner = readOwner(aside);
  const isDead = owner !== null && owner.pid === dead.pid && owner.started === dead.started;
  if (isDead || !rename(aside, folder)) rmSync(aside, { recursive: true, force: true });
}

/** null when it was given back meanwhile. */
function readOwner(folder: string): ProcessIdentity | null {
  try {
    return JSON.parse(readFileSync(path.join(folder, 'owner'), 'utf8')) as ProcessIdentity;
  } catch {
    return null;
  }
}
