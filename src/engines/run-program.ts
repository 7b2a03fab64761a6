import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { AsrproError } from '../errors.ts';

export interface ProgramOptions {
  /** The complete environment of the program; it inherits nothing else. */
  environment: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
  /** The program is killed after this time, in milliseconds; absent: no limit. */
  limitMs?: number;
  /** Called for each line of stdout and stderr as it arrives. */
  onLine?(line: string): void;
}

export interface Ended {
  /** It did not start, ran too long, or ended with an exit code other than 0. */
  failed: boolean;
  stdout: string;
  /** stdout and stderr, interleaved. */
  output: string;
  exitCode: number | undefined;
  signal: NodeJS.Signals | undefined;
  /** Why there is no exit code: it could not be started, was killed by a signal, or ran too long. null otherwise. */
  cause: string | null;
}

/**
 * Runs a program to its end. Kills it with all its child processes on abort, after the limit, and when this process exits;
 * a child process that keeps the streams open cannot block the caller. Throws only `engine_install_cancelled`.
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
  let timedOut = false;
  const end = (): void => {
    if (child.pid !== undefined) killTree(child.pid);
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  };
  const timer =
    limitMs &&
    setTimeout(() => {
      timedOut = true;
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
    failed: result.failed || timedOut,
    stdout: String(result.stdout ?? ''),
    output: String(result.all ?? ''),
    exitCode: result.exitCode,
    signal: result.signal as NodeJS.Signals | undefined,
    cause: timedOut
      ? `it did not end within ${Math.round(limitMs! / 1000)} s`
      : !started
        ? `it could not be started (${(result as { code?: string }).code ?? 'unknown'})`
        : result.signal !== undefined
          ? `it was killed by ${result.signal}`
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
    // It has already ended.
  }
}
