/**
 * The main script of the executable. It holds the program's files as assets; they are unpacked once, into a folder named
 * by their hash, and the program starts from there. Nothing else is on the machine's disk beside the executable.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { getAsset, getRawAsset } from 'node:sea';
import { resolvePaths } from '../src/config/paths.ts';

/** Asset that lists the others, by path, and their hash. */
interface Inventory {
  hash: string;
  files: string[];
}

const { hash, files } = JSON.parse(getAsset('inventory', 'utf8')) as Inventory;
const programs = path.join(resolvePaths().data, 'program');
const folder = path.join(programs, hash);
if (!existsSync(folder)) unpack();
createRequire(path.join(folder, 'dist', 'asrpro.cjs'))('./asrpro.cjs');

/** Built aside and renamed, so that a folder with the final name is whole, also when two starts race. */
function unpack(): void {
  const building = path.join(programs, `${hash}.${process.pid}`);
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
