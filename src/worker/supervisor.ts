import { setTimeout as wait } from 'node:timers/promises';
import { AsrproError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { ModelEngine } from '../models/model.ts';
import { describeExit, type ExitReport } from './exit.ts';
import type { StartWorker } from './handle.ts';
import type { Ladder } from './kill-ladder.ts';
import { decideStart } from './restart-policy.ts';
import { type Patience, Worker } from './worker.ts';

export interface SupervisorHealth {
  state: 'stopped' | 'starting' | 'ready' | 'stopping' | 'crashed' | 'failed';
  pid: number | null;
  generation: number;
  /** Starts that followed a crash. */
  restarts: number;
  memoryBytes: number | null;
  /** What the last crash was, in words; null when there was none. */
  lastError: string | null;
}

/**
 * Starts worker generations, one after the other, and remembers how they ended. Where workers die before they are up,
 * the next start waits as the restart policy says, and a crash loop is refused with 503 until it has cooled down.
 */
export class Supervisor {
  readonly #start: StartWorker;
  readonly #patience: Patience;
  readonly #log: Log;
  readonly #onCrash: (words: string) => void;
  readonly #living = new Set<Worker>();
  #generation = 0;
  #restarts = 0;
  #crashes: number[] = [];
  #last: Worker | null = null;
  #closed = false;
  #lastCrash: { exit: ExitReport; generation: number } | null = null;

  /** @param onCrash hears in words how a worker ended that was not asked to. */
  constructor(start: StartWorker, patience: Patience, log: Log, onCrash: (words: string) => void = () => undefined) {
    this.#onCrash = onCrash;
    this.#start = start;
    this.#patience = patience;
    this.#log = log;
  }

  /**
   * A new worker that has said hello. Throws `engine_not_installed`, `worker_start_failed`, or, in a crash loop,
   * `model_busy` with the seconds to wait.
   */
  async start(engine: ModelEngine): Promise<Worker> {
    this.#requireOpen();
    const decision = decideStart({ crashes: this.#crashes }, now(), Math.random());
    if (!decision.start) {
      throw new AsrproError(
        'model_busy',
        `The worker keeps crashing: ${this.#crashWords()}. It is left to cool down.`,
        {
          retryAfterSeconds: decision.retryAfterSeconds,
        },
      );
    }
    if (decision.delaySeconds > 0) await wait(decision.delaySeconds * 1000);
    this.#requireOpen();
    if (this.#last?.state === 'crashed') this.#restarts += 1;

    this.#generation += 1;
    const generation = this.#generation;
    const handle = await this.#start(engine, generation);
    if (this.#closed) handle.signal('SIGKILL');
    const worker = new Worker(handle, engine, generation, this.#patience, this.#log);
    this.#last = worker;
    this.#living.add(worker);
    let up = false;
    void worker.exited.then((exit) => {
      this.#living.delete(worker);
      if (exit.expected) return;
      // Once it was up, a crash is the doing of its model or its job, which the residency keeps count of.
      if (!up) this.#crashes.push(now());
      this.#lastCrash = { exit, generation };
      this.#onCrash(`Worker ${generation} ${describeExit(exit)}.`);
    });
    await worker.hello();
    up = true;
    this.#crashes = [];
    return worker;
  }

  /** Ends all workers, whatever they are doing; no other is started. Resolves when their processes are gone. */
  async close(ladder: Ladder): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#living].map((worker) => worker.stop(ladder)));
  }

  #requireOpen(): void {
    if (this.#closed) throw new AsrproError('shutting_down', 'The server is stopping.', { retryAfterSeconds: 5 });
  }

  health(): SupervisorHealth {
    const worker = this.#last;
    return {
      state: this.#state(worker),
      pid: worker && this.#living.has(worker) ? worker.pid : null,
      generation: this.#generation,
      restarts: this.#restarts,
      memoryBytes: worker && this.#living.has(worker) ? worker.memoryBytes : null,
      lastError: this.#lastCrash === null ? null : `Worker ${this.#lastCrash.generation} ${this.#crashWords()}.`,
    };
  }

  #state(worker: Worker | null): SupervisorHealth['state'] {
    if (worker === null) return 'stopped';
    if (worker.state !== 'crashed') return worker.state;
    return decideStart({ crashes: this.#crashes }, now(), 0).start ? 'crashed' : 'failed';
  }

  #crashWords(): string {
    return this.#lastCrash === null ? 'no crash yet' : describeExit(this.#lastCrash.exit);
  }
}

function now(): number {
  return performance.now() / 1000;
}
