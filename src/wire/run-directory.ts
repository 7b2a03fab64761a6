import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isAlive, ownIdentity } from '../process-identity.ts';

/** Longest ipc path in bytes: one less than `sun_path`. */
const MAX_SOCKET_PATH = process.platform === 'darwin' ? 103 : 107;
const NAME = /^(?:asrpro-)?(\d+)-(\d+)-[0-9a-f]{12}$/;

/**
 * The private folder of one running gateway. Its name holds the owner's pid and start time, so that the next gateway can
 * tell a crashed owner's folder from a living one's without any file in it.
 */
export interface RunDirectory {
  readonly path: string;
  /** Uploads, one file each. */
  readonly spool: string;
  /** Temporary files of the worker (TMPDIR). */
  readonly temporary: string;
  /** A path for a socket that was never used before; `tcp` where ipc does not exist. */
  socketAddress(name: string): string | 'tcp';
  remove(): void;
}

export function createRunDirectory(runRoot: string): RunDirectory {
  const { pid, started } = ownIdentity();
  const name = `${pid}-${started}-${randomBytes(6).toString('hex')}`;
  const directory = path.join(runRoot, name);
  const spool = path.join(directory, 'spool');
  const temporary = path.join(directory, 'tmp');
  for (const folder of [spool, temporary]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const sockets = directory.length < MAX_SOCKET_PATH - 24 ? directory : path.join(os.tmpdir(), `asrpro-${name}`);
  if (sockets !== directory) mkdirSync(sockets, { recursive: true, mode: 0o700 });

  return {
    path: directory,
    spool,
    temporary,
    socketAddress(socketName) {
      if (process.platform === 'win32') return 'tcp';
      const address = path.join(sockets, socketName);
      if (Buffer.byteLength(address) > MAX_SOCKET_PATH) {
        throw new Error(`the socket path has ${Buffer.byteLength(address)} bytes, ${MAX_SOCKET_PATH} is the limit`);
      }
      return address;
    },
    remove() {
      for (const folder of [directory, sockets]) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Folders of gateways that are gone. */
export function staleRunDirectories(runRoot: string): string[] {
  return [runRoot, os.tmpdir()].flatMap((root) =>
    entries(root)
      .filter((name) => NAME.test(name) && (root === runRoot) !== name.startsWith('asrpro-') && !ownerLives(name))
      .map((name) => path.join(root, name)),
  );
}

/** Removes what crashed gateways left; those of living ones are not touched. Returns how many were removed. */
export function sweepRunDirectories(runRoot: string): number {
  const stale = staleRunDirectories(runRoot);
  for (const folder of stale) rmSync(folder, { recursive: true, force: true });
  return stale.length;
}

function entries(root: string): string[] {
  try {
    return readdirSync(root);
  } catch {
    return [];
  }
}

function ownerLives(name: string): boolean {
  const [, pid, started] = NAME.exec(name) ?? [];
  return isAlive({ pid: Number(pid), started: Number(started) });
}
