import { existsSync, lstatSync, readdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { type Claim, type TakeOptions, take, tryTake } from '../claims/claim.mjs';
import { entryExists, readJsonObject, statOf, whyUnreadable } from '../config/foreign-file.ts';
import { makeFolders } from '../disk-error.ts';
import { AsrproError } from '../errors.ts';

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
  rmSync(path.join(modelFolder(models, installed.id), UNFINISHED), { force: true });
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

/** In a folder that a download has made, until it is a model: all in it is the download's. */
const UNFINISHED = '.asrpro-unfinished';

/** Makes the folder that a download fills. One that somebody else has filled before stays theirs. */
export function beginModel(models: string, id: string): string {
  const folder = modelFolder(models, id);
  makeFolders(folder);
  if (readdirSync(folder).length === 0) writeFileSync(path.join(folder, UNFINISHED), '');
  return folder;
}

/** What downloads leave in a folder while they work: beside the files, and one folder of wheels. */
const LEFTOVER = /\.(partial|joined)$|^\.wheels$|^\.asrpro\.json\.new$/;

/**
 * Alone with a model's folder, among all processes: whoever fetches, repairs or removes it. Beside the folder, so that it
 * stays in force while the folder is removed.
 */
function claimPath(models: string, id: string): string {
  const claims = path.join(models, '.claims');
  makeFolders(claims);
  return path.join(claims, id);
}

/** Waits while another process has it. Throws the signal's reason. */
export function takeModel(models: string, id: string, options: TakeOptions): Promise<Claim> {
  return take(claimPath(models, id), options);
}

/** Throws `model_busy` where another process, or a download of this one, works on it. */
async function takeModelNow(models: string, id: string): Promise<Claim> {
  const claim = await tryTake(claimPath(models, id));
  if (claim !== null) return claim;
  throw new AsrproError('model_busy', `The files of '${id}' are just being downloaded or repaired.`, {
    param: 'model',
    hint: 'Cancel that download, or wait for its end.',
    retryAfterSeconds: 10,
  });
}

/**
 * Removes the folder, the marker first: half-deleted is never taken for a model. Of a link, only the link is ours. Throws
 * `model_busy`.
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

/** Whether an unfinished download or repair left something. */
export function hasLeftovers(models: string, id: string): boolean {
  const folder = modelFolder(models, id);
  return whyUnreadable(folder, 'folder') === null && (isUnfinished(models, id) || leftoversIn(folder).length > 0);
}

/**
 * Removes what unfinished downloads left: a folder that they made, else only the files on which they worked. Throws
 * `model_busy`.
 */
export async function removeLeftovers(models: string, id: string): Promise<void> {
  const claim = await takeModelNow(models, id);
  try {
    const folder = modelFolder(models, id);
    const own = isUnfinished(models, id)
      ? readdirSync(folder).map((name) => path.join(folder, name))
      : leftoversIn(folder);
    for (const file of own) rmSync(file, { recursive: true, force: true });
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
