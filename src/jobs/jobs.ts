import { AsrproError, asAsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import { hasEnded, type Job, type JobStatus } from './job.ts';

export interface JobsOptions<S extends JobStatus> {
  log: Log;
  /** What of the status holds only while the job runs, as it is afterwards. */
  stopped: Partial<S>;
  /** What a failure of the local disk is called. */
  failure: 'download_failed' | 'engine_install_failed';
  /** Does work that goes on after a cancel is given up on after so long, in milliseconds. */
  patienceMs?: number;
}

interface Entry<S extends JobStatus> {
  job: Job<S>;
  abort: AbortController;
  watchers: Set<() => void>;
  /** Resolves after the last change. Never rejects. */
  ended: Promise<void>;
}

/** An installer that does not heed its kill, or a disk that does not answer, delays no answer and no end for longer. */
const PATIENCE_MS = 5000;

/** One job at a time for each id, shared by all who ask for it: start or join, watch, cancel, close. */
export class Jobs<S extends JobStatus> {
  readonly #options: JobsOptions<S>;
  readonly #entries = new Map<string, Entry<S>>();
  #isClosed = false;

  constructor(options: JobsOptions<S>) {
    this.#options = options;
  }

  /** The last state of the job; undefined where there was none. */
  get(id: string): S | undefined {
    return this.#entries.get(id)?.job.status;
  }

  isRunning(id: string): boolean {
    const status = this.get(id);
    return status !== undefined && !hasEnded(status);
  }

  /** Joins the running job, or starts one. The work ends the job as installed by returning, as failed by throwing. */
  start(id: string, first: S, work: (job: Job<S>) => Promise<Partial<S> | undefined>): S {
    const running = this.#entries.get(id);
    if (running !== undefined && !hasEnded(running.job.status)) return running.job.status;
    if (this.#isClosed) throw new AsrproError('shutting_down', 'The server is stopping.');
    const entry = this.#create(first);
    this.#entries.set(id, entry);
    entry.ended = this.#run(id, entry, work);
    return entry.job.status;
  }

  /** Ends the job, and resolves when it has ended. undefined where there was none; one that has ended stays as it is. */
  async cancel(id: string): Promise<S | undefined> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    entry.abort.abort();
    await entry.ended;
    return entry.job.status;
  }

  /** The state now and after every change, the last one included. Ends quietly with the job or the signal. */
  async *watch(id: string, signal?: AbortSignal): AsyncGenerator<S, void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const { job, watchers } = entry;
    const changes = [job.status];
    let wake = (): void => undefined;
    const heard = (): void => {
      changes.push(job.status);
      wake();
    };
    const stop = (): void => wake();
    watchers.add(heard);
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
      watchers.delete(heard);
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Corrects what is shown of a job that has ended. */
  correct(id: string, part: Partial<S>): void {
    const entry = this.#entries.get(id);
    if (entry && hasEnded(entry.job.status))
      this.#entries.set(id, { ...entry, job: this.#create({ ...entry.job.status, ...part }).job });
  }

  /** Ends all jobs. None can be started afterwards. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#entries.keys()].map((id) => this.cancel(id)));
  }

  #create(first: S): Entry<S> {
    const abort = new AbortController();
    const watchers = new Set<() => void>();
    let status = first;
    const job: Job<S> = {
      get status() {
        return status;
      },
      signal: abort.signal,
      change(part) {
        if (hasEnded(status)) return;
        status = { ...status, ...part };
        for (const heard of [...watchers]) heard();
      },
    };
    return { job, abort, watchers, ended: Promise.resolve() };
  }

  async #run(id: string, { job, abort }: Entry<S>, work: (job: Job<S>) => Promise<Partial<S> | undefined>) {
    const { log, stopped, failure, patienceMs = PATIENCE_MS } = this.#options;
    const end = (part: Partial<JobStatus>): void => job.change({ ...stopped, ...part } as Partial<S>);
    let timer: NodeJS.Timeout | undefined;
    const givenUp = new Promise<'given up'>((resolve) => {
      abort.signal.addEventListener('abort', () => {
        timer = setTimeout(() => resolve('given up'), patienceMs);
      });
    });
    const outcome = work(job).catch((thrown: unknown) => localError(thrown, failure) ?? asAsrproError(thrown));
    const ended = await Promise.race([outcome, givenUp]);
    clearTimeout(timer);
    if (ended === 'given up') log.warn({ job: id }, 'a cancelled job did not end in time; it is left to itself');
    if (abort.signal.aborted && (ended === 'given up' || ended instanceof AsrproError)) {
      return end({ status: 'cancelled', error: null });
    }
    if (!(ended instanceof AsrproError)) return end({ ...(ended as Partial<S>), status: 'installed', error: null });
    log.error({ err: ended.cause ?? ended, job: id, code: ended.code }, 'the job failed');
    const { code, message, hint, kind } = ended;
    const retryable = kind.retryable || code === 'engine_install_failed';
    end({ status: 'failed', error: { code, message: hint === null ? message : `${message} ${hint}`, retryable } });
  }
}

/** What the disk says, in words; undefined for everything else. */
function localError(thrown: unknown, failure: JobsOptions<JobStatus>['failure']): AsrproError | undefined {
  const { code } = thrown as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new AsrproError('disk_full', 'The disk is full.', { cause: thrown });
  if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') return undefined;
  return new AsrproError(failure, `The folder for it cannot be written to (${code}).`, {
    hint: 'Let this user write there, or set ASRPRO_HOME to another folder.',
    cause: thrown,
  });
}
