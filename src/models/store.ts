import { existsSync, lstatSync, readdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { type Claim, type TakeOptions, take, tryTake } from '../claims/claim.mjs';
import { entryExists, readJsonObject, statOf, whyUnreadable } from '../config/foreign-file.ts';
import { makeFolders } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';

/** The marker file of an installed model. The download writes it last: a folder without it is not a model. */
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
      /** Who stated the hash that the file was checked against. */
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

/** null when the model is not completely installed. */
export function readInstalled(models: string, id: string): InstalledModel | null {
  const marker = readJsonObject(markerPath(models, id));
  return marker === null ? null : (markerSchema.safeParse(marker).data ?? null);
}

/** Marks the folder as a model. Call it when all files are on disk under their final names. */
export function writeInstalled(models: string, installed: InstalledModel): void {
  const marker = markerPath(models, installed.id);
  writeFileSync(`${marker}.new`, JSON.stringify(installed, null, 2), { flush: true });
  renameSync(`${marker}.new`, marker);
  rmSync(path.join(modelFolder(models, installed.id), UNFINISHED), { force: true });
}

/** Why the folder of a model or its marker cannot be read; null when they can, or when the folder does not exist. */
export function folderProblem(models: string, id: string): string | null {
  const folder = modelFolder(models, id);
  const marker = markerPath(models, id);
  if (!entryExists(folder)) return null;
  const problem = whyUnreadable(folder, 'folder');
  if (problem !== null || !entryExists(marker)) return problem;
  const inMarker = whyUnreadable(marker, 'file');
  return inMarker && `its file '${MARKER}' cannot be read, ${inMarker}`;
}

/** The first file that is missing or has a wrong size; null when all are as installed. */
export function damagedFile(models: string, { id, files }: InstalledModel): string | null {
  const folder = modelFolder(models, id);
  const damaged = files.find(({ path: name, size }) => statOf(path.join(folder, name))?.size !== size);
  return damaged?.path ?? null;
}

/** Marks a folder that a download created, until it is a model: everything in it belongs to the download. */
const UNFINISHED = '.asrpro-unfinished';

/** Creates the folder that a download fills. Does not mark a folder that already holds somebody else's files. */
export function beginModel(models: string, id: string): string {
  const folder = modelFolder(models, id);
  makeFolders(folder);
  if (readdirSync(folder).length === 0) writeFileSync(path.join(folder, UNFINISHED), '');
  return folder;
}

/** Temporary files of a download: partial files, the folder of wheels, the unfinished marker. */
const LEFTOVER = /\.(partial|joined)$|^\.wheels$|^\.asrpro\.json\.new$/;

/**
 * The claim for a model's folder: the process that holds it may download, repair or remove the model. It lies outside the
 * folder, so that it is still valid while the folder is being removed.
 */
function claimPath(models: string, id: string): string {
  const claims = path.join(models, '.claims');
  makeFolders(claims);
  return path.join(claims, id);
}

/** Takes the claim, and waits while another process holds it. Throws the signal's reason. */
export function takeModel(models: string, id: string, options: TakeOptions): Promise<Claim> {
  return take(claimPath(models, id), options);
}

/** Takes the claim at once. Throws `model_busy` while another process or a download of this one holds it. */
async function takeModelNow(models: string, id: string): Promise<Claim> {
  const claim = await tryTake(claimPath(models, id));
  if (claim !== null) return claim;
  throw new AsrproError('model_busy', `The files of '${id}' are being downloaded or repaired.`, {
    param: 'model',
    hint: 'Cancel that download, or wait until it ends.',
    retryAfterSeconds: 10,
  });
}

/**
 * Removes the folder, the marker first, so that a half-deleted folder is never taken for a model. If the folder is a
 * symlink, removes only the link: the user owns what it points to. Throws `model_busy`.
 */
export async function removeInstalled(models: string, id: string): Promise<void> {
  const claim = await takeModelNow(models, id);
  try {
    const folder = modelFolder(models, id);
    if (lstatSync(folder).isSymbolicLink()) return rmSync(folder);
    rmSync(markerPath(models, id), { force: true });
    rmSync(folder, { recursive: true, force: true });
  } finally {
    claim.release();
  }
}

/** Whether an unfinished download or repair left files behind. */
export function hasLeftovers(models: string, id: string): boolean {
  const folder = modelFolder(models, id);
  return whyUnreadable(folder, 'folder') === null && (isUnfinished(models, id) || leftoversIn(folder).length > 0);
}

/**
 * Removes what unfinished downloads left: the whole folder where a download created it, else only the temporary files.
 * Throws `model_busy`.
 */
export async function removeLeftovers(models: string, id: string): Promise<void> {
  const claim = await takeModelNow(models, id);
  try {
    const folder = modelFolder(models, id);
    const leftovers = isUnfinished(models, id)
      ? readdirSync(folder).map((name) => path.join(folder, name))
      : leftoversIn(folder);
    for (const file of leftovers) rmSync(file, { recursive: true, force: true });
    if (!lstatSync(folder).isSymbolicLink() && readdirSync(folder).length === 0) rmdirSync(folder);
  } finally {
    claim.release();
  }
}

function isUnfinished(models: string, id: string): boolean {
  return existsSync(path.join(modelFolder(models, id), UNFINISHED)) && !existsSync(markerPath(models, id));
}

function leftoversIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true }).map(String);
  return names.filter((name) => LEFTOVER.test(path.basename(name))).map((name) => path.join(folder, name));
}
