import { AsrproError, asAsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { type BackgroundTask, hasEnded, type TaskStatus } from './task.ts';

export interface TasksOptions<S extends TaskStatus> {
  log: Log;
  /** Final values for the parts of the status that only apply while the task runs, such as its speed. */
  stopped: Partial<S>;
  /** The error code for a failure of the local disk. */
  failure: 'download_failed' | 'engine_install_failed';
  /** How long to wait for the work to stop after a cancel, in milliseconds. */
  cancelTimeoutMs?: number;
}

interface Entry<S extends TaskStatus> {
  task: BackgroundTask<S>;
  abort: AbortController;
  watchers: Set<() => void>;
  /** Resolves after the last status change. Never rejects. */
  ended: Promise<void>;
}

/** Bounds a cancel, and with it the shutdown, when an installer survives its kill or a disk does not respond. */
const CANCEL_TIMEOUT_MS = 5000;

/** Downloads or installations. At most one task runs for each id; all callers share it. */
export class BackgroundTasks<S extends TaskStatus> {
  readonly #options: TasksOptions<S>;
  readonly #entries = new Map<string, Entry<S>>();
  #isClosed = false;

  constructor(options: TasksOptions<S>) {
    this.#options = options;
  }

  /** The latest status; undefined when no task with this id was ever started. */
  get(id: string): S | undefined {
    return this.#entries.get(id)?.task.status;
  }

  isRunning(id: string): boolean {
    const status = this.get(id);
    return status !== undefined && !hasEnded(status);
  }

  /** Joins the running task or starts one. The task is `installed` when `work` returns and `failed` when it throws. */
  start(id: string, first: S, work: (task: BackgroundTask<S>) => Promise<Partial<S> | undefined>): S {
    const running = this.#entries.get(id);
    if (running !== undefined && !hasEnded(running.task.status)) return running.task.status;
    if (this.#isClosed) throw new AsrproError('shutting_down', 'The server is stopping.');
    const entry = this.#create(first);
    this.#entries.set(id, entry);
    entry.ended = this.#run(id, entry, work);
    return entry.task.status;
  }

  /** Cancels the task and resolves with its final status; undefined when there is none. Does not change an ended task. */
  async cancel(id: string): Promise<S | undefined> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    entry.abort.abort();
    await entry.ended;
    return entry.task.status;
  }

  /** Yields the current status and every later one, including the final one. Returns when the task ends or on abort. */
  async *watch(id: string, signal?: AbortSignal): AsyncGenerator<S, void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const { task, watchers } = entry;
    const changes = [task.status];
    let wake = (): void => undefined;
    const notify = (): void => {
      changes.push(task.status);
      wake();
    };
    const stop = (): void => wake();
    watchers.add(notify);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      while (!signal?.aborted) {
        const next = changes.shift();
        if (next !== undefined) {
          yield next;
          if (hasEnded(next)) return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      watchers.delete(notify);
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Corrects the status of a task that has ended. */
  correct(id: string, part: Partial<S>): void {
    const entry = this.#entries.get(id);
    if (entry && hasEnded(entry.task.status))
      this.#entries.set(id, { ...entry, task: this.#create({ ...entry.task.status, ...part }).task });
  }

  /** Cancels all tasks and refuses new ones. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#entries.keys()].map((id) => this.cancel(id)));
  }

  #create(first: S): Entry<S> {
    const abort = new AbortController();
    const watchers = new Set<() => void>();
    let status = first;
    const task: BackgroundTask<S> = {
      get status() {
        return status;
      },
      signal: abort.signal,
      change(part) {
        if (hasEnded(status)) return;
        status = { ...status, ...part };
        for (const notify of [...watchers]) notify();
      },
    };
    return { task, abort, watchers, ended: Promise.resolve() };
  }

  async #run(
    id: string,
    { task, abort }: Entry<S>,
    work: (task: BackgroundTask<S>) => Promise<Partial<S> | undefined>,
  ) {
    const { log, stopped, failure, cancelTimeoutMs = CANCEL_TIMEOUT_MS } = this.#options;
    const end = (part: Partial<TaskStatus>): void => task.change({ ...stopped, ...part } as Partial<S>);
    const timedOut = Promise.withResolvers<'timed out'>();
    let timer: NodeJS.Timeout | undefined;
    const startTimer = (): void => {
      timer = setTimeout(() => timedOut.resolve('timed out'), cancelTimeoutMs);
    };
    abort.signal.addEventListener('abort', startTimer);
    const outcome = work(task).catch((thrown: unknown) => localDiskError(thrown, failure) ?? asAsrproError(thrown));
    const ended = await Promise.race([outcome, timedOut.promise]);
    clearTimeout(timer);
    // `close` also aborts tasks that have ended; the timer would then keep the process alive.
    abort.signal.removeEventListener('abort', startTimer);
    if (ended === 'timed out') log.warn({ task: id }, 'a cancelled task did not stop in time; it is abandoned');
    if (abort.signal.aborted && (ended === 'timed out' || ended instanceof AsrproError)) {
      return end({ status: 'cancelled', error: null });
    }
    if (!(ended instanceof AsrproError)) return end({ ...(ended as Partial<S>), status: 'installed', error: null });
    log.error({ err: ended.cause ?? ended, task: id, code: ended.code }, 'the task failed');
    const { code, message, hint, kind } = ended;
    const retryable = kind.retryable || code === 'engine_install_failed';
    end({ status: 'failed', error: { code, message: hint === null ? message : `${message} ${hint}`, retryable } });
  }
}

/** The error for a full or read-only disk; undefined for any other error. */
function localDiskError(thrown: unknown, failure: TasksOptions<TaskStatus>['failure']): AsrproError | undefined {
  const { code } = thrown as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new AsrproError('disk_full', 'The disk is full.', { cause: thrown });
  if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') return undefined;
  return new AsrproError(failure, `The target folder is not writable (${code}).`, {
    hint: 'Give this user write access, or set ASRPRO_HOME to another folder.',
    cause: thrown,
  });
}
