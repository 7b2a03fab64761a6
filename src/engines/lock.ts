import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type EnvironmentId, type EnvironmentRow, environmentRow } from '../engine-table.ts';

/** Where PyTorch's makers publish builds without CUDA, which are not on the common index for Linux. */
export const CPU_TORCH_INDEX = 'https://download.pytorch.org/whl/cpu';

export interface LockFile {
  path: string;
  role: EnvironmentRow['locks'][string];
}

/** What an environment is made of. */
export interface Lock extends Omit<EnvironmentRow, 'locks'> {
  /** Complete lists of packages, hash-locked, in the order in which they are installed. */
  files: readonly LockFile[];
  /** First 16 hex digits of the sha256 of all files: part of the environment's folder name. */
  hash: string;
  /** Packages in the lock, for all platforms: an upper bound of what is installed here. */
  packages: number;
}

/** Throws where the runtime has no such lock: the installation of the program itself is broken. */
export function readLock(runtimeRoot: string, id: EnvironmentId): Lock {
  const { locks, ...content } = environmentRow(id);
  const files = Object.entries(locks).map(([name, role]) => ({
    path: path.join(runtimeRoot, 'locks', `${name}.txt`),
    role,
  }));
  const text = files.map((file) => readFileSync(file.path, 'utf8')).join('');
  return {
    files,
    hash: createHash('sha256').update(text).digest('hex').slice(0, 16),
    // Counted when an installation wants to know.
    get packages() {
      return new Set(text.match(/^[a-z0-9][a-z0-9._-]*(?===)/gim)).size;
    },
    ...content,
  };
}
