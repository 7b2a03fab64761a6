/** Calls back once when nobody has touched it for so long. */
export interface Watchdog {
  /** A sign of life: from now, so many seconds of silence are allowed. No effect once a limit is set. */
  touch(seconds: number): void;
  /** From now, so many seconds in all, whatever happens, and then `onLimit` instead. */
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
