/**
 * The proof that a process lives: it listens on a socket whose file has a name that is used once. The kernel refuses a
 * connection as soon as the process is gone, whatever ended it and in whatever pid namespace it was, and also after a
 * power failure. A pid, a time or the content of a file proves nothing of that.
 *
 * Plain JavaScript: src/bootstrap.mjs uses it before anything is installed.
 */
import { chmodSync, closeSync, existsSync, lstatSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';

const windows = process.platform === 'win32';
/** Longest path of a socket, in bytes: one less than `sun_path`. */
export const LONGEST_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;
/** Ends the name of a socket on which nobody listens yet. */
const UNFINISHED = '.new';

/** What a failed bind says of the folder or the process; every other reason means that sockets cannot live there. */
const OTHER_REASONS = new Set(['ENOENT', 'ENOTDIR', 'ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'ENFILE', 'ENOMEM']);

/** The file system cannot hold sockets: exFAT, some mounts of containers. */
export class NoSockets extends Error {}

/**
 * Listens on `folder/name`, which comes into being when the process listens already: there is no moment at which somebody
 * could take a living one for dead. Does not keep the process alive. Throws NoSockets, and ENOENT where somebody swept it away.
 *
 * @returns ends it; the file is the caller's to remove.
 */
export async function listen(folder, name) {
  const connections = new Set();
  const server = net.createServer((connection) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
    connection.on('error', () => undefined);
    connection.unref().resume();
  });
  const stop = () => {
    server.close();
    for (const connection of connections) connection.destroy();
  };
  const file = path.join(folder, name);
  const bound = windows ? file : `${file}${UNFINISHED}`;
  try {
    await new Promise((resolve, reject) => {
      server.once('error', reject).once('listening', resolve);
      withShortPath(folder, path.basename(bound), (address) => server.listen(address));
    });
    server.unref();
    if (windows) writeFileSync(file, '');
    else {
      // Other users may ask whether it is alive, too.
      chmodSync(bound, 0o666);
      renameSync(bound, file);
    }
  } catch (error) {
    stop();
    if (!windows) rmSync(bound, { force: true });
    if (error.syscall !== 'listen' || OTHER_REASONS.has(error.code)) throw error;
    // libuv says EACCES for a folder that is gone as well.
    lstatSync(folder);
    throw new NoSockets(error.message);
  }
  return stop;
}

/**
 * Asks whether somebody listens on the socket. `connection`, where there is one, closes when the listener ends. `unfinished`:
 * nobody listens, or not yet; who removes it makes its owner begin anew. `unknown`: it cannot be told, for example
 * because the folder belongs to another user.
 */
export async function ask(folder, name) {
  try {
    const entry = lstatSync(path.join(folder, name));
    if (windows ? !entry.isFile() : !entry.isSocket()) return { state: 'dead' };
    return { state: 'alive', connection: await connect(folder, name) };
  } catch (error) {
    if (['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(error.code)) {
      return { state: name.endsWith(UNFINISHED) ? 'unfinished' : 'dead' };
    }
    // EAGAIN: the queue of the listener is full, because it is suspended.
    return { state: error.code === 'EAGAIN' ? 'alive' : 'unknown' };
  }
}

function connect(folder, name) {
  return new Promise((resolve, reject) => {
    const connection = withShortPath(folder, name, (address) => net.connect(address));
    connection.once('error', reject);
    connection.once('connect', () => {
      connection.off('error', reject).on('error', () => undefined);
      resolve(connection.resume());
    });
  });
}

/**
 * Calls `use`, which binds or connects at once, with an address of the file that fits: a socket's path has 107 bytes at most,
 * 103 on macOS, and the home of a user whose name is Chinese needs three for each letter.
 */
function withShortPath(folder, name, use) {
  if (windows) return use(`\\\\.\\pipe\\asrpro-${name}`);
  const whole = path.join(folder, name);
  if (Buffer.byteLength(whole) <= LONGEST_SOCKET_PATH) return use(whole);
  if (existsSync('/proc/self/fd')) {
    const handle = openSync(folder, 'r');
    try {
      return use(`/proc/self/fd/${handle}/${name}`);
    } finally {
      closeSync(handle);
    }
  }
  const before = process.cwd();
  process.chdir(folder);
  try {
    return use(name);
  } finally {
    process.chdir(before);
  }
}
