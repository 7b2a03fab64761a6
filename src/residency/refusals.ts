import { AsrproError } from '../errors.ts';
import { retryAfterSeconds } from './rate.ts';
import { concurrencyOf, loadedWorker, type QueueEntry, type State } from './state.ts';

/** A killed worker that still exists may exit within a minute, or never. */
const STUCK_RETRY_SECONDS = 60;

export function shuttingDown(): AsrproError {
  return new AsrproError('shutting_down', 'The server is stopping.', { retryAfterSeconds: 5 });
}

export function queueFull(state: State, waiting: number): AsrproError {
  const message = `The queue is full: ${waiting} requests are waiting.`;
  return new AsrproError('queue_full', message, retryAfter(state, waiting));
}

export function waitedTooLong(state: State, entry: QueueEntry): AsrproError {
  const { queueSeconds } = state.limits;
  const options = retryAfter(state, state.queue.filter(({ kind }) => kind === 'job').length);
  if (entry.kind !== 'job') {
    return new AsrproError('model_busy', `Running requests did not end within ${queueSeconds} s.`, options);
  }
  const reason = loadedWorker(state) ? 'for a free place' : 'for the model to be loaded';
  return new AsrproError('queue_timeout', `The request waited ${queueSeconds} s ${reason}.`, options);
}

export function unloadedWhileRunning(): AsrproError {
  return new AsrproError('model_unloaded', 'The model was unloaded on request while this job ran.', {
    retryAfterSeconds: 1,
  });
}

export function workerStuck(): AsrproError {
  return new AsrproError(
    'worker_stuck',
    'The worker process was killed but does not exit; no model can be loaded while it holds its memory.',
    {
      hint: 'A driver or a network drive may hold the process; if it does not exit, restart the machine.',
      retryAfterSeconds: STUCK_RETRY_SECONDS,
    },
  );
}

export function coolingDown({ lastError }: State, retryAfterSeconds: number): AsrproError {
  const message = `The worker keeps crashing, so it is not restarted for a moment. ${lastError ?? ''}`.trim();
  return new AsrproError('model_busy', message, { retryAfterSeconds });
}

function retryAfter(state: State, waiting: number): { retryAfterSeconds: number } {
  return { retryAfterSeconds: retryAfterSeconds(state.secondsPerJob, waiting, concurrencyOf(state)) };
}
