/**
 * Proves that a process lives: it listens on a socket whose name is never reused. The kernel refuses a connection as soon
 * as the process has died, in any pid namespace and after a power failure. A pid, a time or a file's content prove none
 * of that. Plain JavaScript, because src/bootstrap.mjs uses it before anything is installed.
 */
import { chmodSync, closeSync, existsSync, lstatSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';

const windows = process.platform === 'win32';
/** Longest path of a socket, in bytes: one less than `sun_path`. */
export const LONGEST_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;
/** Suffix of a socket on which no process listens yet. */
const UNFINISHED = '.new';

/** A bind that fails for any other reason means that the file system cannot hold sockets. */
const UNRELATED_ERRORS = new Set(['ENOENT', 'ENOTDIR', 'ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'ENFILE', 'ENOMEM']);

/** The file system cannot hold sockets, as exFAT and some container mounts. */
export class NoSockets extends Error {}

/**
 * Listens on `folder/name`. The name appears only when the process already listens, so that no other process can take a
 * living socket for a dead one. Does not keep this process alive. Throws NoSockets, and ENOENT when another process
 * removed the file. @returns a function that stops listening; the caller removes the file.
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
      // Other users may connect to check whether the holder lives.
      chmodSync(bound, 0o666);
      renameSync(bound, file);
    }
  } catch (error) {
    stop();
    if (!windows) rmSync(bound, { force: true });
    if (error.syscall !== 'listen' || UNRELATED_ERRORS.has(error.code)) throw error;
    // libuv also reports EACCES for a missing folder; lstat then throws ENOENT.
    lstatSync(folder);
    throw new NoSockets(error.message);
  }
  return stop;
}

/**
 * Whether a process listens on the socket. `connection`, if there is one, closes when that process exits. `unfinished`: not
 * yet, or it died before; removing the file makes a living owner start over. `unknown`: it cannot be determined, for
 * example because the folder belongs to another user.
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
    // EAGAIN: the listener is suspended and its backlog is full.
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
 * Calls `use`, which must bind or connect synchronously, with a short enough path: a socket's path has at most 107 bytes,
 * 103 on macOS, and each letter of a Chinese user name takes three of them.
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
