import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Claim, hold, isOurs, isPrivate, look } from '../claims/claim.mjs';

/** Longest ipc path in bytes: one less than `sun_path`. */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;
/** Room for the name of a socket. */
const SOCKET_NAME = 40;
/** In the temporary directory, which is everybody's, the name says whose it is. */
const PREFIX = 'asrpro-';
const NAME = /^[0-9a-f]{16}$/;
/** Of earlier versions: pid and start time of the owner, which say nothing in another pid namespace. */
const EARLIER_NAME = /^\d+-\d+-[0-9a-f]{12}$/;
const DAY_MS = 24 * 3600 * 1000;
/** In a run directory: its owner's claim. */
const CLAIM = '.alive';

/** The private folder of one running gateway, claimed for as long as it lives (src/claims). */
export interface RunDirectory {
  readonly path: string;
  /** Uploads, one file each. */
  readonly spool: string;
  /** Temporary files of the worker (TMPDIR). */
  readonly temporary: string;
  /** Resolves when every other process can see that the owner lives. Until then nobody takes it for dead either. */
  readonly claimed: Promise<void>;
  /** A path for a socket that was never used before; `tcp` where ipc does not exist. */
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
  // The path may be too long for a socket, and the disk may not be able to hold one.
  let sockets = directory;
  const moveSockets = (): void => {
    sockets = path.join(os.tmpdir(), PREFIX + name);
    mkdirSync(sockets, { mode: 0o700 });
  };
  if (Buffer.byteLength(directory) + SOCKET_NAME > MAX_SOCKET_PATH) moveSockets();
  const prepare = async (): Promise<void> => {
    const { folder } = await claim(directory);
    if (sockets === directory && folder !== path.join(directory, CLAIM)) moveSockets();
    if (sockets !== directory) await claim(sockets);
  };
  const remove = (): void => {
    for (const claim of claims) claim.release();
    for (const folder of [directory, sockets]) rmSync(folder, { recursive: true, force: true });
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
      if (process.platform === 'win32') return 'tcp';
      const address = path.join(sockets, socketName);
      if (Buffer.byteLength(address) > MAX_SOCKET_PATH) {
        throw new Error(`the socket path has ${Buffer.byteLength(address)} bytes, ${MAX_SOCKET_PATH} is the limit`);
      }
      return address;
    },
    remove() {
      isRemoved = true;
      remove();
    },
  };
}

/** Folders of gateways that are gone: ours, of our shape, and provably without an owner. Looks, and changes nothing. */
export async function staleRunDirectories(runRoot: string): Promise<string[]> {
  const stale: string[] = [];
  for (const [root, prefix] of [[runRoot, ''] as const, [os.tmpdir(), PREFIX] as const]) {
    for (const entry of entries(root)) {
      if (!entry.startsWith(prefix)) continue;
      const folder = path.join(root, entry);
      // A disk like exFAT has no modes; ours are right in the temporary directory.
      const ours = prefix === '' ? isOurs(folder) : isPrivate(folder);
      if (ours && (await isDead(folder, entry.slice(prefix.length)))) stale.push(folder);
    }
  }
  return stale;
}

/** Other gateways and commands that run now. */
export async function livingRunDirectories(runRoot: string, own?: string): Promise<number> {
  const folders = entries(runRoot)
    .filter((name) => NAME.test(name))
    .map((name) => path.join(runRoot, name));
  const states = await Promise.all(folders.filter((one) => one !== own).map((one) => look(path.join(one, CLAIM))));
  return states.filter((state) => state === 'held').length;
}

/**
 * Removes what crashed gateways left; those of living ones are not touched, and no start fails for what cannot be
 * removed. Returns how many were removed.
 */
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
    // One without a claim is just being made, or its maker was killed then.
    return state === 'dead' || (state === 'none' && Date.now() - changed(folder) > DAY_MS);
  }
  // Nobody who was there before the machine started is there now.
  const started = Date.now() - os.uptime() * 1000;
  return EARLIER_NAME.test(name) && changed(folder) < Math.min(started, Date.now() - DAY_MS);
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
