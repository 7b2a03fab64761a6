import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { look } from '../claims/claim.mjs';
import type { Lock } from './lock.ts';
import type { EnvironmentId } from './types.ts';

/** Written last into an environment: what is in it, measured once. */
const markerSchema = z.object({
  packages: z.record(z.string(), z.string()),
  sizeBytes: z.number(),
  /** The machine had an NVIDIA driver, so that what its GPU needs is there. */
  nvidia: z.boolean().default(false),
  /** Library folders of NVIDIA packages, relative to the environment; the loader must know them at start. */
  libraryFolders: z.array(z.string()),
});
export type Marker = z.infer<typeof markerSchema>;

export const MARKER = 'asrpro-environment.json';

/** Folder of the environment that belongs to this lock. Another lock, another folder: nothing is changed in place. */
export function environmentFolder(engines: string, id: EnvironmentId, lock: Lock): string {
  return path.join(engines, `${id}-${lock.hash}`);
}

export function interpreterIn(folder: string): string {
  return process.platform === 'win32' ? path.join(folder, 'Scripts', 'python.exe') : path.join(folder, 'bin', 'python');
}

/** In an environment: those who use it hold it (src/claims). */
export const IN_USE = '.in-use';

/** null where the environment is not there, or not complete. Reads one small file. */
export function readMarker(folder: string): Marker | null {
  try {
    return markerSchema.parse(JSON.parse(readFileSync(path.join(folder, MARKER), 'utf8')));
  } catch {
    return null;
  }
}

/**
 * Whether the Python that the environment was made with is gone. An environment holds a link to it, and packages for its
 * minor version: an upgrade by the system, Homebrew or pyenv leaves a link to nowhere, or to another version.
 */
export function hasLostPython(folder: string): boolean {
  try {
    const settings = readFileSync(path.join(folder, 'pyvenv.cfg'), 'utf8');
    const setting = (name: RegExp): string | undefined => name.exec(settings)?.[1];
    const home = setting(/^home\s*=\s*(.+?)\s*$/m);
    const made = setting(/^version(?:_info)?\s*=\s*(\d+\.\d+)/m);
    const now = /python(\d+\.\d+)/.exec(path.basename(realpathSync(interpreterIn(folder))))?.[1];
    return (home !== undefined && !existsSync(home)) || (made !== undefined && now !== undefined && made !== now);
  } catch {
    return true;
  }
}

/**
 * Puts a new environment in the place of the one that is there. A worker that runs in the old one finds the same packages
 * under the same paths a moment later, and those who hold it hold the new one.
 */
export function replaceEnvironment(fresh: string, folder: string): void {
  const old = aside(folder);
  const link = lstatSync(folder, { throwIfNoEntry: false });
  if (link) renameSync(folder, old);
  renameSync(fresh, folder);
  if (link?.isDirectory() && existsSync(path.join(old, IN_USE))) {
    renameSync(path.join(old, IN_USE), path.join(folder, IN_USE));
  }
  if (link) removeQuietly(old);
}

/** Environments of other locks stay for so long after their last use, in milliseconds: other versions have them. */
const UNUSED_MS = 30 * 24 * 3600 * 1000;

/**
 * Removes what nobody uses: environments of other locks that were not used for a month, and what killed installations left. The
 * caller holds the installation of `id` alone. What cannot be removed stays.
 */
export async function removeUnused(engines: string, id: EnvironmentId, keep: string): Promise<void> {
  for (const name of readdirSync(engines)) {
    const [, remains] = new RegExp(`^${id}-[0-9a-f]{16}(\\..+)?$`).exec(name) ?? [null];
    const folder = path.join(engines, name);
    if (remains === null || folder === keep) continue;
    const isOld = remains !== undefined || Date.now() - lastUse(folder) > UNUSED_MS;
    if (!isOld || (await isInUse(folder))) continue;
    const gone = aside(folder);
    try {
      renameSync(folder, gone);
      // Somebody may have begun to use it meanwhile.
      if (await isInUse(gone)) renameSync(gone, folder);
      else removeQuietly(gone);
    } catch {
      // The next installation tries again.
    }
  }
}

async function isInUse(folder: string): Promise<boolean> {
  return (await look(path.join(folder, IN_USE))) === 'held';
}

function lastUse(folder: string): number {
  const times = [folder, path.join(folder, IN_USE)].map(
    (one) => statSync(one, { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return Math.max(...times);
}

function aside(folder: string): string {
  return `${folder}.old-${randomBytes(4).toString('hex')}`;
}

function removeQuietly(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // The next installation tries again.
  }
}
