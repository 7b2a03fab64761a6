/**
 * Replaces `src/package-files.ts` in the executable, which contains the package's files as assets. They are unpacked once,
 * into a folder named by their hash.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { getAsset, getRawAsset } from 'node:sea';
import { hold } from '../src/claims/claim.mjs';
import { IN_USE, removeIfUnused } from '../src/claims/unused.ts';
import { resolvePaths } from '../src/config/paths.ts';

/** The asset that lists the paths of the others and their common hash. */
interface Inventory {
  hash: string;
  files: string[];
}

let unpacked: string | undefined;

export function packageFile(relative: string): string {
  unpacked ??= unpack();
  return path.join(unpacked, relative);
}

/** Unpacks the files if necessary and returns their folder. This process claims the folder while it runs. */
function unpack(): string {
  const { hash, files } = JSON.parse(getAsset('inventory', 'utf8')) as Inventory;
  const programs = path.join(resolvePaths().data, 'program');
  const folder = path.join(programs, hash);
  const isNew = !existsSync(folder);
  if (isNew) write(files, folder);
  void claimAndTidy(programs, folder, isNew);
  return folder;
}

/** Removes unused folders of other versions and of killed starts. A failed claim or removal must not prevent the start. */
async function claimAndTidy(programs: string, folder: string, isNew: boolean): Promise<void> {
  try {
    await hold(path.join(folder, IN_USE));
    if (!isNew) return;
    for (const name of readdirSync(programs)) {
      if (name !== path.basename(folder)) await removeIfUnused(path.join(programs, name));
    }
  } catch {
    // The first start of the next version tries again.
  }
}

/** Writes beside the final folder and renames, so that it is always complete, even if two starts race. */
function write(files: readonly string[], folder: string): void {
  const building = `${folder}.${randomBytes(8).toString('hex')}`;
  for (const file of files) {
    const target = path.join(building, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, Buffer.from(getRawAsset(file)));
  }
  try {
    renameSync(building, folder);
  } catch (error) {
    rmSync(building, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
}
