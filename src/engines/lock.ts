import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type EnvironmentId, type EnvironmentRow, environmentRow } from '../engine-table.ts';

/** PyTorch's own index with builds without CUDA. For Linux they are not on the public index. */
export const CPU_TORCH_INDEX = 'https://download.pytorch.org/whl/cpu';

export interface LockFile {
  path: string;
  role: EnvironmentRow['locks'][string];
}

/** The content of an environment. */
export interface Lock extends Omit<EnvironmentRow, 'locks'> {
  /** Complete, hash-locked lists of packages, in the order of installation. */
  files: readonly LockFile[];
  /** First 16 hex digits of the sha256 of all files; part of the environment's folder name. */
  hash: string;
  /** Number of packages in the lock for all platforms: an upper bound for this machine. */
  packages: number;
}

/** Throws if the lock files are missing, which means that the installation of asrpro itself is broken. */
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
    // Counted on demand: only an installation needs it.
    get packages() {
      return new Set(text.match(/^[a-z0-9][a-z0-9._-]*(?===)/gim)).size;
    },
    ...content,
  };
}
