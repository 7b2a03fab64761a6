import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { sidecarCommand } from './command.ts';
import { describeExit, type Exit } from './exit.ts';
import type { LaunchOptions } from './options.ts';
import { Sidecar } from './sidecar.ts';
import { SidecarError } from './sidecar-error.ts';

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** How much of the log is kept for the report of its end, in characters. */
const LAST_WORDS = 8192;

/** The one line on stdout. */
type FirstLine =
  | { event: 'ready'; url: string; host: string; port: number; pid: number; version: string; instance: string }
  | { event: 'error'; code: string; message: string; hint: string | null };

/**
 * Starts a sidecar on a free port and resolves when it accepts requests. It ends with this process, however that ends.
 *
 * Throws SidecarError: `spawn_failed`, `aborted`, `exited`, or the code with which the sidecar says why it cannot start.
 */
export async function launch(options: LaunchOptions = {}): Promise<Sidecar> {
  const { file, args, env } = sidecarCommand(options);
  // Its death pipe is our end of stdin: the system closes it when this process is gone.
  const child: Child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true });
  // A write that meets its end is told by `exit`.
  child.stdin.on('error', () => undefined);
  const log = keepLog(child, options.onLog);
  let asked = false;
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve(describeExit(code, signal, log(), asked)));
  });
  const abort = (): void => void child.kill('SIGKILL');
  options.signal?.addEventListener('abort', abort, { once: true });
  if (options.signal?.aborted) abort();
  try {
    const line = await Promise.race([firstLine(child), failedToSpawn(child, file)]);
    if (line === null) {
      // It has ended, or is no use without a stdout.
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
      apiKey: options.apiKey ?? null,
      exited,
      end: () => {
        asked = true;
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

/** Rejects where the system cannot run the file; then there is no `exit` either. */
async function failedToSpawn(child: Child, file: string): Promise<never> {
  return await new Promise((_, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const message = `asrpro could not be started (${cause.code ?? 'unknown reason'}): ${file}`;
      const hint = 'Check that the file is in the bundle and may be executed.';
      reject(new SidecarError('spawn_failed', message, { hint, cause }));
    });
  });
}

/** null when stdout ends without one. */
async function firstLine(child: Child): Promise<FirstLine | null> {
  return await new Promise((resolve, reject) => {
    const lines = createInterface({ input: child.stdout });
    lines.once('close', () => resolve(null));
    lines.once('line', (text) => {
      try {
        resolve(JSON.parse(text) as FirstLine);
      } catch {
        reject(new SidecarError('spawn_failed', 'The program that was started is not asrpro.', { hint: text }));
      }
    });
  });
}

/** Reads the log all the time, so that its pipe never fills, and returns the end of it on demand. */
function keepLog(child: Child, onLog: LaunchOptions['onLog']): () => string {
  let tail = '';
  createInterface({ input: child.stderr }).on('line', (line) => {
    tail = `${tail}${line}\n`.slice(-LAST_WORDS);
    onLog?.(line);
  });
  return () => tail.trimEnd();
}
