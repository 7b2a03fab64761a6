/**
 * Claims on folders, held by living processes. A claim is a folder with a socket in it on which the holder listens (see
 * socket.mjs). It needs no timer to stay valid, and ends with its process.
 *
 * Sockets have names that are used once, so that removing a dead one by its name can never hit a living one, and a folder
 * is only ever replaced while it is empty: no look has to be one step with the removal that follows it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, realpathSync, renameSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, listen, NoSockets } from './socket.mjs';

/** How often somebody looks again who cannot hear of the end, in milliseconds. */
const LOOK_AGAIN_MS = 250;
/** Between the folder of a claim and the name of its socket, while it is not in force. */
const BUILDING = '.new-';
/** How often a claim is begun anew that others swept away before it was in force. */
const ATTEMPTS = 20;

const unique = () => randomBytes(8).toString('hex');

/**
 * Holds the folder alone; waits while another living process holds it. Throws the signal's reason.
 *
 * @param folder comes into being with the claim; its parent exists.
 */
export async function take(folder, { signal, onWait = () => undefined } = {}) {
  for (let told = false; ; told = true) {
    signal?.throwIfAborted();
    const { claim, holder } = await attempt(folder);
    if (claim) return claim;
    if (!told) onWait();
    await endOf(holder, signal);
  }
}

/** Holds the folder alone; null where another living process does, or may do so. */
export async function tryTake(folder) {
  const { claim, holder } = await attempt(folder);
  holder?.connection?.destroy();
  return claim ?? null;
}

/** Holds the folder together with others, until it is released or the process ends. Removes what dead holders left. */
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
 * `held`: a living process holds the folder, or it cannot be told. `dead`: all who held it are gone. `none`: there is no
 * trace of a claim. Changes nothing.
 */
export async function look(folder) {
  const { state } = await judge(folder);
  const other = state === 'none' ? elsewhere(folder) : null;
  return other !== null && isPrivate(path.dirname(other)) ? (await judge(other)).state : state;
}

/** A folder of this user's, and no link. */
export function isOurs(folder) {
  return process.platform === 'win32' || ownMode(folder) !== null;
}

/** The same, and nobody else may look into it: made by us although everybody may write beside it. */
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
      // What cannot be removed is said, and not waited for.
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

/** null where the folder is not empty. */
async function takeEmpty(folder) {
  const name = unique();
  const building = `${folder}${BUILDING}${name}`;
  mkdirSync(building);
  let stop;
  try {
    stop = await listen(building, name);
    // Windows replaces no folder, not even an empty one.
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

/** What killed processes left that were about to take the folder. */
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

/** Removes what is left of dead holders, and the folder where nothing else is in it. */
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

/** `holder` is the first living one; its `connection`, where there is one, closes when it ends. */
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

/** Resolves when the holder has ended, when it should be looked at again, or when the signal aborts. */
async function endOf(holder, signal) {
  const connection = holder?.connection;
  if (!connection) return await pause(LOOK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
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

/** Files of this process's claims: removed also where it ends without giving them back. */
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

/** Where nothing can be proven, nothing is kept from anybody either: no start fails for that. */
function unproven(folder) {
  return { folder, release: () => undefined };
}

/**
 * Runs it for the folder, or for one in the temporary directory where the file system cannot hold sockets. null where that
 * cannot be either.
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

/** The same for all processes that name the folder, by whatever way. null where the folder has no parent. */
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
    // Somebody else was faster, or the next one tries again.
  }
}
