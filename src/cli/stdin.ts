import type { Socket } from 'node:net';

/** After stdin has ended, how often to check that the launcher is still alive, in milliseconds. */
const CHECK_MS = 1000;

/**
 * Aborts with `signal` or at the end of stdin. The launcher closes its end of the pipe to stop asrpro on any platform, and
 * the system closes it when the launcher dies. Once the launcher is dead, also while requests are still running, this
 * process exits within a second, because nobody waits for the answers.
 */
export function stopWithStdin(signal: AbortSignal): AbortSignal {
  const launcher = process.ppid;
  const ended = new AbortController();
  const end = (): void => {
    if (ended.signal.aborted) return;
    ended.abort();
    // Check repeatedly: a dying process closes its files before its children get another parent.
    setInterval(() => hasExited(launcher) && process.exit(0), CHECK_MS).unref();
  };
  for (const event of ['end', 'close', 'error']) process.stdin.once(event, end);
  process.stdin.resume();
  // An open stdin must not keep this process running. If stdin is a file, it has no `unref` and ends at once.
  (process.stdin as Partial<Socket>).unref?.();
  return AbortSignal.any([signal, ended.signal]);
}

function hasExited(launcher: number): boolean {
  if (process.platform !== 'win32') return process.ppid !== launcher;
  try {
    process.kill(launcher, 0);
    return false;
  } catch {
    return true;
  }
}
