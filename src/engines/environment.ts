import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { aside, IN_USE, removeIfUnused } from '../claims/unused.ts';
import type { EnvironmentId } from '../engine-table.ts';
import type { Lock } from './lock.ts';

/** The marker file: describes a finished environment, and is written last. */
const markerSchema = z.object({
  packages: z.record(z.string(), z.string()),
  sizeBytes: z.number(),
  /** The machine had an NVIDIA driver, so the packages for its GPU are installed. */
  nvidia: z.boolean().default(false),
  /** Library folders of NVIDIA packages, relative to the environment. The worker's loader needs them at its start. */
  libraryFolders: z.array(z.string()),
});
export type Marker = z.infer<typeof markerSchema>;

export const MARKER = 'asrpro-environment.json';

/** The folder of the environment for this lock. Every lock has its own folder, so no environment is changed in place. */
export function environmentFolder(engines: string, id: EnvironmentId, lock: Lock): string {
  return path.join(engines, `${id}-${lock.hash}`);
}

export function folderOfInterpreter(python: string): string {
  return path.dirname(path.dirname(python));
}

export function interpreterIn(folder: string): string {
  return process.platform === 'win32' ? path.join(folder, 'Scripts', 'python.exe') : path.join(folder, 'bin', 'python');
}

/** null where the environment is missing or incomplete. Reads one small file. */
export function readMarker(folder: string): Marker | null {
  try {
    return markerSchema.parse(JSON.parse(readFileSync(path.join(folder, MARKER), 'utf8')));
  } catch {
    return null;
  }
}

/**
 * Whether the Python that created the environment is gone. The environment links to it and has packages for its minor
 * version; an upgrade by the system, Homebrew or pyenv breaks the link or makes it point to another version.
 */
export function hasLostPython(folder: string): boolean {
  const { home, version = '' } = pythonBehind(folder) ?? {};
  const before = /^\d+\.\d+/.exec(version)?.[0];
  const file = realPath(interpreterIn(folder));
  const now = /python(\d+\.\d+)/.exec(path.basename(file ?? ''))?.[1];
  const hasChanged = before !== undefined && now !== undefined && before !== now;
  return file === null || hasChanged || (home !== undefined && !existsSync(home));
}

/** Version and folder of the Python that created the environment. */
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

/** null for a dangling link. */
function realPath(file: string): string | null {
  try {
    return realpathSync(file);
  } catch {
    return null;
  }
}

/**
 * Replaces an environment with a new one. A worker that runs in the old one finds the same packages under the same paths
 * a moment later. Claims on the old folder move to the new one.
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
 * Removes unused environments of other locks, which belong to other versions of asrpro, and leftovers of installations
 * that were killed. The caller must hold the installation claim of `id`.
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
