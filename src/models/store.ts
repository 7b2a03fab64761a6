import { existsSync, lstatSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

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
  try {
    return markerSchema.parse(JSON.parse(readFileSync(markerPath(models, id), 'utf8')));
  } catch {
    return null;
  }
}

/** Makes the folder a model: after all its files are on disk under their final names. */
export function writeInstalled(models: string, installed: InstalledModel): void {
  const marker = markerPath(models, installed.id);
  writeFileSync(`${marker}.new`, JSON.stringify(installed, null, 2), { flush: true });
  renameSync(`${marker}.new`, marker);
}

/** The first of its files that is gone or has another size; null when all are as installed. */
export function damagedFile(models: string, { id, files }: InstalledModel): string | null {
  const folder = modelFolder(models, id);
  const damaged = files.find(({ path: name, size }) => {
    const file = path.join(folder, name);
    return !existsSync(file) || statSync(file).size !== size;
  });
  return damaged?.path ?? null;
}

/** Removes the folder, the marker first: half-deleted is never taken for a model. Of a link, only the link is ours. */
export function removeInstalled(models: string, id: string): void {
  if (lstatSync(modelFolder(models, id)).isSymbolicLink()) return rmSync(modelFolder(models, id));
  rmSync(markerPath(models, id), { force: true });
  rmSync(modelFolder(models, id), { recursive: true, force: true });
}
