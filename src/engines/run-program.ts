import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { AsrproError } from '../errors.ts';

export interface ProgramOptions {
  /** All that it sees. */
  environment: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
  /** It is ended after this time, in milliseconds; absent where its work may take as long as it takes. */
  limitMs?: number;
  /** Each line of stdout and stderr as it comes. */
  onLine?(line: string): void;
}

export interface Ended {
  /** It did not start, ran too long, or ended with anything but 0. */
  failed: boolean;
  stdout: string;
  /** Both streams, in order. */
  output: string;
  exitCode: number | undefined;
  signal: NodeJS.Signals | undefined;
  /** Why there is no exit code: it could not be started, was ended by a signal, or ran too long. null otherwise. */
  cause: string | null;
}

/**
 * Runs a program to its end and takes all that it started with it: on abort, after the limit, and when this process exits. A
 * hanging shim does not keep us, nor does a child of it that holds the streams. Throws `engine_install_cancelled` alone.
 */
export async function runProgram(file: string, args: readonly string[], options: ProgramOptions): Promise<Ended> {
  const { environment, signal, limitMs, onLine } = options;
  const cancelled = (): AsrproError => new AsrproError('engine_install_cancelled', 'The installation was cancelled.');
  if (signal?.aborted) throw cancelled();
  const child = execa(file, args, {
    env: environment,
    extendEnv: false,
    reject: false,
    all: true,
    stdin: 'ignore',
    detached: process.platform !== 'win32',
    windowsHide: true,
  });
  let late = false;
  const end = (): void => {
    if (child.pid !== undefined) killTree(child.pid);
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  };
  const timer =
    limitMs &&
    setTimeout(() => {
      late = true;
      end();
    }, limitMs);
  signal?.addEventListener('abort', end, { once: true });
  process.once('exit', end);
  if (onLine) createInterface({ input: child.all }).on('line', onLine);
  const result = await child;
  if (timer) clearTimeout(timer);
  signal?.removeEventListener('abort', end);
  process.removeListener('exit', end);
  if (signal?.aborted) throw cancelled();
  const started = child.pid !== undefined;
  return {
    failed: result.failed || late,
    stdout: String(result.stdout ?? ''),
    output: String(result.all ?? ''),
    exitCode: result.exitCode,
    signal: result.signal as NodeJS.Signals | undefined,
    cause: late
      ? `it did not end within ${Math.round(limitMs! / 1000)} s`
      : !started
        ? `it could not be started (${(result as { code?: string }).code ?? 'unknown'})`
        : result.signal !== undefined
          ? `it was ended by ${result.signal}`
          : null,
  };
}

function killTree(pid: number): void {
  if (process.platform === 'win32') {
    void execa('taskkill', ['/pid', String(pid), '/T', '/F'], { reject: false });
    return;
  }
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
