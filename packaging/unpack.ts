/**
 * Stands for `src/package-files.ts` in the executable, which holds the files as assets: they are unpacked once, into a
 * folder named by their hash. Nothing else is on the machine's disk beside the executable.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { getAsset, getRawAsset } from 'node:sea';
import { resolvePaths } from '../src/config/paths.ts';

/** Asset that lists the others, by path, and their hash. */
interface Inventory {
  hash: string;
  files: string[];
}

/** Folders of other versions go when nobody started from them for so long. */
const UNUSED_MS = 30 * 24 * 3600 * 1000;

let unpacked: string | undefined;

export function packageFile(relative: string): string {
  unpacked ??= unpack();
  return path.join(unpacked, relative);
}

/** The folder with all files. Its time is that of the last start. */
function unpack(): string {
  const { hash, files } = JSON.parse(getAsset('inventory', 'utf8')) as Inventory;
  const programs = path.join(resolvePaths().data, 'program');
  const folder = path.join(programs, hash);
  if (existsSync(folder)) utimesSync(folder, new Date(), new Date());
  else {
    write(files, folder);
    removeUnused(programs);
  }
  return folder;
}

/** Built aside and renamed, so that a folder with the final name is whole, also when two starts race. */
function write(files: readonly string[], folder: string): void {
  const building = `${folder}.${process.pid}`;
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

/**
 * What older versions and unpacking that was killed have left. An app beside us may run another version, or clean up too: no
 * start fails for what cannot be removed.
 */
function removeUnused(programs: string): void {
  for (const name of readdirSync(programs)) {
    const folder = path.join(programs, name);
    try {
      const unused = Date.now() - statSync(folder).mtimeMs > UNUSED_MS;
      if (unused) rmSync(folder, { recursive: true });
    } catch {
      // The next version's first start tries again.
    }
  }
}
