import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
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

/** null where the environment is not there, or not complete. Reads one small file. */
export function readMarker(folder: string): Marker | null {
  try {
    return markerSchema.parse(JSON.parse(readFileSync(path.join(folder, MARKER), 'utf8')));
  } catch {
    return null;
  }
}

/** Removes environments of other locks, and what killed installations left, except those in `keep`. */
export function removeOthers(engines: string, id: EnvironmentId, keep: string): void {
  for (const name of readdirSync(engines)) {
    if (name.startsWith(`${id}-`) && name !== path.basename(keep) && !name.endsWith('.lock')) {
      rmSync(path.join(engines, name), { recursive: true, force: true });
    }
  }
}
