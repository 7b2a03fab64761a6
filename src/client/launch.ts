import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { sidecarCommand } from './command.ts';
import { describeExit, type Exit } from './exit.ts';
import type { LaunchOptions } from './options.ts';
import { Sidecar } from './sidecar.ts';
import { SidecarError } from './sidecar-error.ts';

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** How many characters at the end of the log are kept for `Exit`. */
const LAST_WORDS = 8192;

/** The only line that the sidecar writes to stdout. */
type FirstLine =
  | { event: 'ready'; url: string; host: string; port: number; pid: number; version: string; instance: string }
  | { event: 'error'; code: string; message: string; hint: string | null };

/**
 * Starts a sidecar on a free port and resolves when it accepts requests. The sidecar ends when this process ends for any
 * reason. Throws SidecarError: `spawn_failed`, `aborted`, `exited`, or the sidecar's own code if it cannot start.
 */
export async function launch(options: LaunchOptions = {}): Promise<Sidecar> {
  const { file, args, env } = sidecarCommand(options);
  // The sidecar ends with its stdin, which the system closes when this process has ended.
  const child: Child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true });
  // A write after the sidecar has ended fails, but `exit` reports that already.
  child.stdin.on('error', () => undefined);
  const log = keepLog(child, options.onLog);
  let stopRequested = false;
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve(describeExit(code, signal, log(), stopRequested)));
  });
  const abort = (): void => void child.kill('SIGKILL');
  options.signal?.addEventListener('abort', abort, { once: true });
  if (options.signal?.aborted) abort();
  try {
    const line = await Promise.race([firstLine(child), failedToSpawn(child, file)]);
    if (line === null) {
      // The sidecar has ended, or it has closed its stdout and will never announce its address.
      child.kill('SIGKILL');
      const { message, lastWords } = await exited;
      if (options.signal?.aborted) throw new SidecarError('aborted', 'The start of asrpro was aborted.');
      throw new SidecarError('exited', message, { hint: lastWords || null });
    }
    if (line.event === 'error') {
      await exited;
      throw new SidecarError(line.code, line.message, { hint: line.hint });
    }
    void exited.then((exit) => options.onExit?.(exit));
    return new Sidecar({
      ...line,
      apiKey: env.ASRPRO_SERVER_API_KEY?.trim() || null,
      exited,
      end: () => {
        stopRequested = true;
        child.stdin.end();
      },
      kill: () => void child.kill('SIGKILL'),
    });
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
}

/** Rejects if the system cannot run the file. `exit` is not emitted then. */
async function failedToSpawn(child: Child, file: string): Promise<never> {
  return await new Promise((_, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const message = `asrpro could not be started (${cause.code ?? 'unknown reason'}): ${file}`;
      const hint = 'Check that the file is in the bundle and may be executed.';
      reject(new SidecarError('spawn_failed', message, { hint, cause }));
    });
  });
}

/** null if stdout ends without a line. */
async function firstLine(child: Child): Promise<FirstLine | null> {
  return await new Promise((resolve, reject) => {
    const lines = createInterface({ input: child.stdout });
    lines.once('close', () => resolve(null));
    lines.once('line', (text) => {
      const line = parsedLine(text);
      if (line !== null) resolve(line);
      else reject(new SidecarError('spawn_failed', 'The program that was started is not asrpro.', { hint: text }));
    });
  });
}

/** null for any line that asrpro does not write. */
function parsedLine(text: string): FirstLine | null {
  try {
    const line = JSON.parse(text) as FirstLine | null;
    return line?.event === 'ready' || line?.event === 'error' ? line : null;
  } catch {
    return null;
  }
}

/** Reads the log continuously, so that its pipe never fills. Returns a function for the end of the log. */
function keepLog(child: Child, onLog: LaunchOptions['onLog']): () => string {
  let tail = '';
  createInterface({ input: child.stderr }).on('line', (line) => {
    tail = `${tail}${line}\n`.slice(-LAST_WORDS);
    onLog?.(line);
  });
  return () => tail.trimEnd();
}
