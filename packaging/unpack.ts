/**
 * Stands for `src/package-files.ts` in the executable, which holds the files as assets: they are unpacked once, into a
 * folder named by their hash. Nothing else is on the machine's disk beside the executable.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { getAsset, getRawAsset } from 'node:sea';
import { hold } from '../src/claims/claim.mjs';
import { IN_USE, removeIfUnused } from '../src/claims/unused.ts';
import { resolvePaths } from '../src/config/paths.ts';

/** Asset that lists the others, by path, and their hash. */
interface Inventory {
  hash: string;
  files: string[];
}

let unpacked: string | undefined;

export function packageFile(relative: string): string {
  unpacked ??= unpack();
  return path.join(unpacked, relative);
}

/** The folder with all files. This process holds it while it runs. */
function unpack(): string {
  const { hash, files } = JSON.parse(getAsset('inventory', 'utf8')) as Inventory;
  const programs = path.join(resolvePaths().data, 'program');
  const folder = path.join(programs, hash);
  const isNew = !existsSync(folder);
  if (isNew) write(files, folder);
  void holdAndClear(programs, folder, isNew);
  return folder;
}

/** What older versions and unpacking that was killed have left goes. No start fails for what cannot be held or removed. */
async function holdAndClear(programs: string, folder: string, isNew: boolean): Promise<void> {
  try {
    await hold(path.join(folder, IN_USE));
    if (!isNew) return;
    for (const name of readdirSync(programs)) {
      if (name !== path.basename(folder)) await removeIfUnused(path.join(programs, name));
    }
  } catch {
    // The next version's first start tries again.
  }
}

/** Built aside and renamed, so that a folder with the final name is whole, also when two starts race. */
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
