import type { Socket } from 'node:net';

/** How often to look whether the launcher still lives once stdin has ended, in milliseconds. */
const LOOK_MS = 1000;

/**
 * Aborts with `signal`, or at the end of stdin, whose other end the launcher holds: closing it asks us to stop as a
 * signal does, on every platform. The system closes it as well when the launcher dies, and the launcher may die while running
 * requests finish; nobody waits for their answers then, so this process ends within a second, whatever it does.
 */
export function stopWithStdin(signal: AbortSignal): AbortSignal {
  const launcher = process.ppid;
  const ended = new AbortController();
  const end = (): void => {
    if (ended.signal.aborted) return;
    ended.abort();
    // Not at once: a dying process closes its files before its children are given to another parent.
    setInterval(() => isGone(launcher) && process.exit(0), LOOK_MS).unref();
  };
  for (const event of ['end', 'close', 'error']) process.stdin.once(event, end);
  process.stdin.resume();
  // The launcher may keep its end open when we end by ourselves; ours must not keep this process running. A file on stdin
  // has no such method, and ends at once.
  (process.stdin as Partial<Socket>).unref?.();
  return AbortSignal.any([signal, ended.signal]);
}

function isGone(launcher: number): boolean {
  if (process.platform !== 'win32') return process.ppid !== launcher;
  try {
    process.kill(launcher, 0);
    return false;
  } catch {
    return true;
  }
}
