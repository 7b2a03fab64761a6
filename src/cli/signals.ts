const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Under `npm start` one Ctrl-C arrives twice within milliseconds: from the terminal, and passed on by npm. Within this
 * time the second signal is ignored. Without npm it is not, because an app that sends two signals means two.
 */
const ECHO_MS = 400;

export interface StopSignals {
  /** Aborts at the first request to stop. */
  first: AbortSignal;
  /** Removes the signal handlers. */
  dispose(): void;
}

/**
 * Listens for requests to stop: signals, and the end of a launcher that holds an IPC channel (src/bootstrap.mjs). The
 * second signal calls `force`.
 */
export function listenForStop(force: () => void, environment: NodeJS.ProcessEnv): StopSignals {
  const controller = new AbortController();
  const echoes = environment.npm_lifecycle_event === 'start';
  let firstAt = 0;
  const stop = () => {
    if (!controller.signal.aborted) {
      firstAt = performance.now();
      controller.abort();
    } else if (!echoes || performance.now() - firstAt > ECHO_MS) force();
  };
  const onLauncherExit = () => controller.abort();
  for (const signal of stopSignals) process.on(signal, stop);
  process.on('disconnect', onLauncherExit);
  // The listener alone would keep the process running.
  process.channel?.unref();
  return {
    first: controller.signal,
    dispose() {
      for (const signal of stopSignals) process.off(signal, stop);
      process.off('disconnect', onLauncherExit);
    },
  };
}
