import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Claim, hold, isOurs, isPrivate, look } from '../claims/claim.mjs';
import { diskError } from '../disk-error.ts';

/** Longest ipc path in bytes: one less than `sun_path`. */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;
/** Longest name of a socket. */
const SOCKET_NAME = 40;
/** Marks asrpro's folders in the temporary directory, which all programs share. */
const PREFIX = 'asrpro-';
const NAME = /^[0-9a-f]{16}$/;
/** Names of earlier versions: pid and start time of the owner, which mean nothing in another pid namespace. */
const OLD_NAME = /^\d+-\d+-[0-9a-f]{12}$/;
const DAY_MS = 24 * 3600 * 1000;
/** The claim of the owner, inside a run directory. */
const CLAIM = '.alive';

/** The private folder of one running gateway, which holds a claim on it (src/claims). */
export interface RunDirectory {
  readonly path: string;
  /** Folder for uploads, one file each. */
  readonly spool: string;
  /** Folder for temporary files of the worker (TMPDIR). */
  readonly temporary: string;
  /** Resolves when the claim is held. Until then other processes do not treat the folder as abandoned either. */
  readonly claimed: Promise<void>;
  /** The path for a new socket; `tcp` on Windows, which has no ipc. */
  socketAddress(name: string): string | 'tcp';
  remove(): void;
}

export function createRunDirectory(runRoot: string): RunDirectory {
  const name = randomBytes(8).toString('hex');
  const directory = path.join(runRoot, name);
  const [spool, temporary] = [path.join(directory, 'spool'), path.join(directory, 'tmp')];
  mkdirSync(runRoot, { recursive: true });
  for (const folder of [directory, spool, temporary]) mkdirSync(folder, { mode: 0o700 });
  const claims: Claim[] = [];
  const claim = async (folder: string): Promise<Claim> => {
    const claim = await hold(path.join(folder, CLAIM));
    claims.push(claim);
    return claim;
  };
  // Sockets move to a temporary directory when the path is too long or the file system cannot hold sockets.
  let sockets = directory;
  const moveSockets = (): void => {
    sockets = makeFolderIn(temporaryFolders(), PREFIX + name);
  };
  if (!fitsSockets(directory)) moveSockets();
  const prepare = async (): Promise<void> => {
    const { folder } = await claim(directory);
    if (sockets === directory && folder !== path.join(directory, CLAIM)) moveSockets();
    if (sockets !== directory) await claim(sockets);
  };
  const remove = (): void => {
    for (const claim of claims) claim.release();
    for (const folder of [directory, sockets]) rmSync(folder, { recursive: true, force: true });
  };
  /** A cleanup tool may have removed the folders while the gateway ran without a worker. */
  const restore = (): void => {
    const folders = [directory, spool, temporary, sockets];
    const gone = folders.filter((folder) => !existsSync(folder));
    try {
      for (const folder of gone) mkdirSync(folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      const remedy = 'set ASRPRO_HOME to a folder that you may write';
      throw diskError(error, { name: 'the run directory', folder: directory, remedy });
    }
    if (gone.includes(directory)) claim(directory).catch(() => undefined);
  };
  let isRemoved = false;
  const claimed = prepare().then(() => {
    if (isRemoved) remove();
  });
  claimed.catch(() => undefined);

  return {
    path: directory,
    spool,
    temporary,
    claimed,
    socketAddress(socketName) {
      restore();
      if (process.platform === 'win32') return 'tcp';
      const address = path.join(sockets, socketName);
      if (Buffer.byteLength(address) > MAX_SOCKET_PATH) {
        throw new Error(`the socket path has ${Buffer.byteLength(address)} bytes; the limit is ${MAX_SOCKET_PATH}`);
      }
      return address;
    },
    remove() {
      isRemoved = true;
      remove();
    },
  };
}

/** Folders for sockets besides the run directory. TMPDIR may be as long as the path of the run directory, or missing. */
function temporaryFolders(): string[] {
  return process.platform === 'win32' ? [os.tmpdir()] : [...new Set([os.tmpdir(), '/tmp'])];
}

function fitsSockets(folder: string): boolean {
  return Buffer.byteLength(folder) + SOCKET_NAME <= MAX_SOCKET_PATH;
}

/** Creates the folder in the first of `parents` that can hold it and has a short enough path. */
function makeFolderIn(parents: readonly string[], name: string): string {
  const folders = parents.map((parent) => path.join(parent, name));
  for (const folder of folders.filter(fitsSockets)) {
    try {
      mkdirSync(folder, { mode: 0o700 });
      return folder;
    } catch {
      // The last attempt below gives the reason.
    }
  }
  mkdirSync(folders[0]!, { mode: 0o700 });
  return folders[0]!;
}

/** Folders that crashed gateways of this user left, provably without a living owner. Changes nothing. */
export async function staleRunDirectories(runRoot: string): Promise<string[]> {
  const stale: string[] = [];
  for (const [root, prefix] of [[runRoot, ''], ...temporaryFolders().map((one) => [one, PREFIX])] as [
    string,
    string,
  ][]) {
    for (const entry of entries(root)) {
      if (!entry.startsWith(prefix)) continue;
      const folder = path.join(root, entry);
      // File systems such as exFAT have no modes; the temporary directory has them.
      const ours = prefix === '' ? isOurs(folder) : isPrivate(folder);
      if (ours && (await isDead(folder, entry.slice(prefix.length)))) stale.push(folder);
    }
  }
  return stale;
}

/** Counts the other gateways and commands that run now. */
export async function livingRunDirectories(runRoot: string, own?: string): Promise<number> {
  const folders = entries(runRoot)
    .filter((name) => NAME.test(name))
    .map((name) => path.join(runRoot, name));
  const states = await Promise.all(folders.filter((one) => one !== own).map((one) => look(path.join(one, CLAIM))));
  return states.filter((state) => state === 'held').length;
}

/** Removes the folders that crashed gateways left and returns their number. Skips those that cannot be removed. */
export async function sweepRunDirectories(runRoot: string): Promise<number> {
  let removed = 0;
  for (const folder of await staleRunDirectories(runRoot)) {
    try {
      rmSync(folder, { recursive: true, force: true });
      removed += 1;
    } catch {
      // The next start tries again.
    }
  }
  return removed;
}

async function isDead(folder: string, name: string): Promise<boolean> {
  if (NAME.test(name)) {
    const state = await look(path.join(folder, CLAIM));
    // A folder without a claim is being created, or its creator was killed at that moment.
    return state === 'dead' || (state === 'none' && Date.now() - changed(folder) > DAY_MS);
  }
  // An owner from before the last boot no longer runs.
  const started = Date.now() - os.uptime() * 1000;
  return OLD_NAME.test(name) && changed(folder) < Math.min(started, Date.now() - DAY_MS);
}

function changed(folder: string): number {
  try {
    return lstatSync(folder).mtimeMs;
  } catch {
    return Date.now();
  }
}

function entries(root: string): string[] {
  try {
    return readdirSync(root);
  } catch {
    return [];
  }
}
