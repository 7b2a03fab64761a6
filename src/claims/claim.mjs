/**
 * Claims on folders, held by living processes. A claim is a folder with a socket on which the holder listens (socket.mjs).
 * It needs no timer and ends with its process. Socket names are never reused, so removing a dead socket cannot hit a
 * living one, and a folder is only replaced while it is empty. So a check and the removal after it need not be atomic.
 */
import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, realpathSync, renameSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, listen, NoSockets } from './socket.mjs';

/** Polling interval of a waiter that has no connection to the holder, in milliseconds. */
const POLL_MS = 250;
/** Infix in the name of a claim that is being created, between the folder's name and the socket's. */
const BUILDING = '.new-';
/** How often to retry a claim that another process removed while it was being created. */
const ATTEMPTS = 20;

const unique = () => randomBytes(8).toString('hex');

/**
 * Takes the claim exclusively; waits while another living process holds it. Throws the signal's reason.
 *
 * @param folder is created with the claim; its parent must exist.
 */
export async function take(folder, { signal, onWait = () => undefined } = {}) {
  for (let notified = false; ; notified = true) {
    signal?.throwIfAborted();
    const { claim, holder } = await attempt(folder);
    if (claim) return claim;
    if (!notified) onWait();
    await endOf(holder, signal);
  }
}

/** Takes the claim exclusively; null when another living process holds it, or may hold it. */
export async function tryTake(folder) {
  const { claim, holder } = await attempt(folder);
  holder?.connection?.destroy();
  return claim ?? null;
}

/** Takes a shared claim, until it is released or the process exits. Removes the sockets of dead holders. */
export async function hold(folder) {
  const claim = await inPlace(folder, async (place) => {
    for (let left = ATTEMPTS; ; left -= 1) {
      const name = unique();
      try {
        mkdirSync(place, { recursive: true });
        return claimOn(place, name, await listen(place, name));
      } catch (error) {
        if (['EACCES', 'EPERM', 'EROFS'].includes(error.code)) throw new NoSockets(error.message);
        if (error.code !== 'ENOENT' || left === 0) throw error;
      }
    }
  });
  if (claim === null) return unproven(folder);
  await clear(claim.folder);
  return claim;
}

/**
 * `held`: a living process holds the claim, or that cannot be determined. `dead`: all its holders have died. `none`: there
 * is no claim. Changes nothing.
 */
export async function look(folder) {
  const { state } = await judge(folder);
  const other = state === 'none' ? elsewhere(folder) : null;
  return other !== null && isPrivate(path.dirname(other)) ? (await judge(other)).state : state;
}

/** Whether the folder belongs to this user and is not a link. */
export function isOurs(folder) {
  return process.platform === 'win32' || ownMode(folder) !== null;
}

/** Like `isOurs`, and no other user can access it. Proves the origin of a folder in the shared temporary directory. */
export function isPrivate(folder) {
  if (process.platform === 'win32') return true;
  const mode = ownMode(folder);
  return mode !== null && (mode & 0o077) === 0;
}

function ownMode(folder) {
  try {
    const { mode, uid } = lstatSync(folder);
    return (mode & 0o170000) === 0o040000 && uid === process.getuid() ? mode : null;
  } catch {
    return null;
  }
}

async function attempt(folder) {
  const taken = await inPlace(folder, async (place) => {
    for (let left = ATTEMPTS; left > 0; left -= 1) {
      const { state, remains, holder } = await survey(place);
      if (state === 'held') return { holder };
      // Throws when a dead socket cannot be removed: waiting would not help.
      for (const name of remains) rmSync(path.join(place, name), { recursive: true, force: true });
      const claim = await takeEmpty(place);
      if (claim === null) continue;
      await clearUnfinished(place);
      return { claim };
    }
    throw new Error(`No claim on ${path.basename(place)} could be made.`);
  });
  return taken ?? { claim: unproven(folder) };
}

/** null when the folder is not empty. */
async function takeEmpty(folder) {
  const name = unique();
  const building = `${folder}${BUILDING}${name}`;
  mkdirSync(building);
  let stop;
  try {
    stop = await listen(building, name);
    // On Windows, rename does not replace a folder, not even an empty one.
    quietly(() => rmdirSync(folder));
    renameSync(building, folder);
    return claimOn(folder, name, stop);
  } catch (error) {
    stop?.();
    quietly(() => rmSync(building, { recursive: true, force: true }));
    if (error.code === 'ENOTDIR') rmSync(folder);
    else if (!['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES', 'ENOENT'].includes(error.code)) throw error;
    return null;
  }
}

/** Removes claims on this folder that killed processes left unfinished. */
async function clearUnfinished(folder) {
  const parent = path.dirname(folder);
  let names = [];
  quietly(() => {
    names = readdirSync(parent);
  });
  for (const name of names) {
    if (name.startsWith(`${path.basename(folder)}${BUILDING}`)) await clear(path.join(parent, name));
  }
}

/** Removes the sockets of dead holders, and the folder if it is then empty. */
async function clear(folder) {
  const { remains } = await judge(folder);
  for (const name of remains) quietly(() => rmSync(path.join(folder, name), { recursive: true }));
  quietly(() => rmdirSync(folder));
}

async function judge(folder) {
  const { holder, ...found } = await survey(folder);
  holder?.connection?.destroy();
  return found;
}

/** `holder` is the first living holder. Its `connection`, if there is one, closes when it exits. */
async function survey(folder) {
  let names;
  try {
    names = readdirSync(folder);
  } catch (error) {
    return { state: ['ENOENT', 'ENOTDIR'].includes(error.code) ? 'none' : 'held', remains: [] };
  }
  let state = 'none';
  let holder;
  const remains = [];
  for (const name of names) {
    const answer = await ask(folder, name);
    if (answer.state === 'dead' || answer.state === 'unfinished') {
      remains.push(name);
      if (state === 'none' && answer.state === 'dead') state = 'dead';
    } else {
      state = 'held';
      if (holder) answer.connection?.destroy();
      else holder = answer;
    }
  }
  return { state, remains, holder };
}

/** Resolves when the holder has exited, when it is time to poll again, or when the signal aborts. */
async function endOf(holder, signal) {
  const connection = holder?.connection;
  if (!connection) return await pause(POLL_MS, undefined, { signal }).catch(() => undefined);
  await new Promise((resolve) => {
    if (connection.closed || signal?.aborted) return resolve();
    connection.once('close', () => {
      signal?.removeEventListener('abort', resolve);
      resolve();
    });
    signal?.addEventListener('abort', resolve, { once: true });
  });
  connection.destroy();
}

/** Sockets of this process's claims, which are removed at its exit if they were not released. */
const files = new Set();
let removesAtExit = false;

function claimOn(folder, name, stop) {
  const file = path.join(folder, name);
  files.add(file);
  if (!removesAtExit) {
    process.once('exit', () => {
      for (const one of files) quietly(() => unlinkSync(one));
    });
  }
  removesAtExit = true;
  return {
    folder,
    release() {
      files.delete(file);
      quietly(() => unlinkSync(file));
      quietly(() => rmdirSync(folder));
      stop();
    },
  };
}

/** Replaces a claim when neither place can hold sockets, so that no start fails. Other processes do not see it. */
function unproven(folder) {
  return { folder, release: () => undefined };
}

/**
 * Runs `use` with the folder or, when its file system cannot hold sockets, with a folder in the temporary directory. null
 * when that cannot hold them either.
 */
async function inPlace(folder, use) {
  try {
    return await use(folder);
  } catch (error) {
    if (!(error instanceof NoSockets)) throw error;
  }
  const place = elsewhere(folder);
  if (place === null) return null;
  quietly(() => mkdirSync(path.dirname(place), { recursive: true, mode: 0o700 }));
  if (!isPrivate(path.dirname(place))) return null;
  return await use(place).catch((error) => {
    if (error instanceof NoSockets) return null;
    throw error;
  });
}

/** The substitute in the temporary directory, the same for every path to the folder. null when its parent is missing. */
function elsewhere(folder) {
  const root = path.join(os.tmpdir(), `asrpro-claims-${process.getuid?.() ?? 'user'}`);
  try {
    const real = path.join(realpathSync.native(path.dirname(folder)), path.basename(folder));
    return path.join(root, createHash('sha256').update(real).digest('hex').slice(0, 24));
  } catch {
    return null;
  }
}

function quietly(action) {
  try {
    action();
  } catch {
    // Another process was faster, or the next caller tries again.
  }
}
