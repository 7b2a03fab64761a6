import { lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { entryExists, readJsonObject, statOf, whyUnreadable } from '../config/foreign-file.ts';

/** Written last into a model's folder: only with it the folder counts as a model. */
const MARKER = '.asrpro.json';

const markerSchema = z.object({
  id: z.string(),
  repo: z.string(),
  revision: z.string(),
  /** `hub` or `wheel`. */
  source: z.string(),
  /** Unix seconds. */
  installed: z.number(),
  files: z.array(
    z.object({
      path: z.string(),
      size: z.number(),
      sha256: z.string(),
      /** Whose word the hash was when the file was checked. */
      statedBy: z.enum(['catalogue', 'hub']).optional(),
    }),
  ),
});
export type InstalledModel = z.infer<typeof markerSchema>;

export function modelFolder(models: string, id: string): string {
  return path.join(models, id);
}

export function markerPath(models: string, id: string): string {
  return path.join(modelFolder(models, id), MARKER);
}

/** null when the model is not installed, or not completely. */
export function readInstalled(models: string, id: string): InstalledModel | null {
  const marker = readJsonObject(markerPath(models, id));
  return marker === null ? null : (markerSchema.safeParse(marker).data ?? null);
}

/** Makes the folder a model: after all its files are on disk under their final names. */
export function writeInstalled(models: string, installed: InstalledModel): void {
  const marker = markerPath(models, installed.id);
  writeFileSync(`${marker}.new`, JSON.stringify(installed, null, 2), { flush: true });
  renameSync(`${marker}.new`, marker);
}

/** Why nothing can be installed there, or what is installed not be read; null when the folder is absent or in order. */
export function folderProblem(models: string, id: string): string | null {
  const folder = modelFolder(models, id);
  const marker = markerPath(models, id);
  if (!entryExists(folder)) return null;
  const problem = whyUnreadable(folder, 'folder');
  if (problem !== null || !entryExists(marker)) return problem;
  const inMarker = whyUnreadable(marker, 'file');
  return inMarker && `its file '${MARKER}' cannot be read, ${inMarker}`;
}

/** The first of its files that is gone or has another size; null when all are as installed. */
export function damagedFile(models: string, { id, files }: InstalledModel): string | null {
  const folder = modelFolder(models, id);
  const damaged = files.find(({ path: name, size }) => statOf(path.join(folder, name))?.size !== size);
  return damaged?.path ?? null;
}

/** Removes the folder, the marker first: half-deleted is never taken for a model. Of a link, only the link is ours. */
export function removeInstalled(models: string, id: string): void {
  if (lstatSync(modelFolder(models, id)).isSymbolicLink()) return rmSync(modelFolder(models, id));
  rmSync(markerPath(models, id), { force: true });
  rmSync(modelFolder(models, id), { recursive: true, force: true });
}
