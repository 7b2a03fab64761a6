/** Calls back once when nothing has reset it in time. */
export interface Watchdog {
  /** Restarts the timeout with this many seconds. Does nothing after `limit`. */
  touch(seconds: number): void;
  /** Replaces the timeout by a final one that `touch` cannot extend; it calls `onLimit`. */
  limit(seconds: number, onLimit: () => void): void;
  stop(): void;
}

export function createWatchdog(seconds: number, onSilence: () => void): Watchdog {
  let limited = false;
  let timer = setTimeout(onSilence, seconds * 1000);
  const restart = (allowed: number, callback: () => void): void => {
    clearTimeout(timer);
    timer = setTimeout(callback, allowed * 1000);
  };
  return {
    touch(allowed) {
      if (!limited) restart(allowed, onSilence);
    },
    limit(allowed, onLimit) {
      if (limited) return;
      limited = true;
      restart(allowed, onLimit);
    },
    stop() {
      limited = true;
      clearTimeout(timer);
    },
  };
}
