import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { aside, IN_USE, removeIfUnused } from '../claims/unused.ts';
import type { EnvironmentId } from '../engine-table.ts';
import type { Lock } from './lock.ts';

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

export function folderOfInterpreter(python: string): string {
  return path.dirname(path.dirname(python));
}

export function interpreterIn(folder: string): string {
  return process.platform === 'win32' ? path.join(folder, 'Scripts', 'python.exe') : path.join(folder, 'bin', 'python');
}

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
  const { home, version = '' } = pythonBehind(folder) ?? {};
  const made = /^\d+\.\d+/.exec(version)?.[0];
  const file = realPath(interpreterIn(folder));
  const now = /python(\d+\.\d+)/.exec(path.basename(file ?? ''))?.[1];
  const isOther = made !== undefined && now !== undefined && made !== now;
  return file === null || isOther || (home !== undefined && !existsSync(home));
}

/** The Python that an environment was made with: its version, and where it is. */
export function pythonBehind(folder: string): { version: string; home: string } | null {
  const settings = textOf(path.join(folder, 'pyvenv.cfg'));
  const home = /^home\s*=\s*(.+?)\s*$/m.exec(settings)?.[1];
  const version = /^version(?:_info)?\s*=\s*(\d+\.\d+(?:\.\d+)?)/m.exec(settings)?.[1];
  return home === undefined || version === undefined ? null : { version, home };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** null where the link leads nowhere. */
function realPath(file: string): string | null {
  try {
    return realpathSync(file);
  } catch {
    return null;
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
  removeQuietly(old);
}

/**
 * Removes what nobody uses: environments of other locks, which other versions have, and what killed installations left. The
 * caller holds the installation of `id` alone.
 */
export async function removeUnused(engines: string, id: EnvironmentId, keep: string): Promise<void> {
  for (const name of readdirSync(engines)) {
    const match = new RegExp(`^${id}-[0-9a-f]{16}(\\..+)?$`).exec(name);
    const folder = path.join(engines, name);
    if (match === null || folder === keep) continue;
    await (match[1] === undefined ? removeIfUnused(folder) : removeIfUnused(folder, 0));
  }
}

function removeQuietly(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // The next installation tries again.
  }
}
