import { AsrproError, type ErrorCode, errorKinds } from '../errors.ts';
import type { WorkerMessage } from '../wire/messages.ts';
import { describeExit, type ExitReport, publicLastLine } from './exit.ts';

/** A restarted head needs at least this long. */
const CLUSTER_RETRY_SECONDS = 5;

/** `worker_start_failed` until the worker has sent its hello. */
export type CrashCode = 'worker_start_failed' | 'worker_crashed';

/** An error that the engine reported. */
export function engineError(message: Extract<WorkerMessage, { type: 'error' }>): AsrproError {
  const code = Object.hasOwn(errorKinds, message.code) ? (message.code as ErrorCode) : 'internal_error';
  return new AsrproError(code, message.message, message.param === null ? {} : { param: message.param });
}

export function exitError(exit: ExitReport, code: CrashCode): AsrproError {
  if (exit.outOfMemory) {
    return new AsrproError('out_of_memory', 'The worker ran out of memory.', {
      hint: 'Choose a smaller model or compute type, or close other programs.',
      cause: exit,
    });
  }
  const what = `The worker process ${describeExit(exit)}`;
  if (code === 'worker_crashed') return new AsrproError(code, `${what} before it answered.`, { cause: exit });
  const lastLine = publicLastLine(exit.lastWords);
  return new AsrproError(code, `${what} while it started${lastLine === '' ? '.' : `: ${lastLine}`}`, { cause: exit });
}

/** A worker exits soon after it loses its cluster, so its exit says nothing about the model. */
export function clusterUnreachable(reason: string): AsrproError {
  return new AsrproError('cluster_unreachable', reason, { retryAfterSeconds: CLUSTER_RETRY_SECONDS });
}

export function unresponsive(): AsrproError {
  return new AsrproError('worker_unresponsive', 'The engine made no progress in time and was ended.', {
    hint: 'Try a smaller model, or split the file.',
  });
}
