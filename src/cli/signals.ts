const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * `npm start` gets a Ctrl-C from the terminal and passes it on, and the terminal delivers it here as well: the same
 * signal twice within milliseconds, from one key. Within this time it counts once; only there, because an app that
 * sends two signals means two.
 */
const echoMilliseconds = 400;

export interface StopSignals {
  /** Aborts at the first request to stop. */
  first: AbortSignal;
  /** Puts the process's own signal handling back. */
  dispose(): void;
}

/**
 * Listens for requests to stop: signals, and the end of the launcher that started us with a channel (src/bootstrap.mjs).
 * The second request calls `force`.
 */
export function listenForStop(force: () => void, environment: NodeJS.ProcessEnv): StopSignals {
  const controller = new AbortController();
  const echoes = environment.npm_lifecycle_event === 'start';
  let firstAt = 0;
  const stop = () => {
    if (!controller.signal.aborted) {
      firstAt = performance.now();
      controller.abort();
    } else if (!echoes || performance.now() - firstAt > echoMilliseconds) force();
  };
  const launcherGone = () => controller.abort();
  for (const signal of stopSignals) process.on(signal, stop);
  process.on('disconnect', launcherGone);
  // A listener for it would keep the process running.
  process.channel?.unref();
  return {
    first: controller.signal,
    dispose() {
      for (const signal of stopSignals) process.off(signal, stop);
      process.off('disconnect', launcherGone);
    },
  };
}
