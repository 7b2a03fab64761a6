import { AsrproError } from '../errors.ts';
import type { Model } from '../models/model.ts';
import type { JobResult, Segment, TranscribeMessage } from '../wire/messages.ts';
import { type Channel, createChannel } from '../worker/channel.ts';
import type { Worker, WorkerJob } from '../worker/worker.ts';

/** What to run, checked against the model. */
export interface JobOrder {
  model: Model;
  message: Omit<TranscribeMessage, 'type' | 'job'>;
  /** Pass segments on as they come; else hold them until the job is done. */
  stream: boolean;
}

/** Errors after which a second run on a fresh worker may succeed. */
const SECOND_CHANCE = new Set(['worker_crashed', 'worker_start_failed']);

/**
 * One transcription from the queue to its end. Its caller sees `started` settle once, then the segments; between runs on
 * different workers it sees nothing.
 */
export class Job {
  readonly order: JobOrder;
  /** Resolves when the engine has begun. */
  readonly started: Promise<void>;
  readonly segments: Channel<Segment> = createChannel<Segment>();
  readonly result: Promise<JobResult>;
  /** It was in hand when a worker died, and has the machine for itself now. */
  alone = false;
  #settleStarted!: { resolve(): void; reject(error: Error): void };
  #settleResult!: { resolve(result: JobResult): void; reject(error: Error): void };
  #running: WorkerJob | null = null;
  #delivered = false;
  #ended: AsrproError | 'done' | null = null;

  constructor(order: JobOrder) {
    this.order = order;
    this.started = new Promise((resolve, reject) => {
      this.#settleStarted = { resolve, reject };
    });
    this.result = new Promise((resolve, reject) => {
      this.#settleResult = { resolve, reject };
    });
    // Whoever waits hears of a failure through the promise they hold; the other one must not crash the process.
    this.started.catch(() => undefined);
    this.result.catch(() => undefined);
  }

  get ended(): boolean {
    return this.#ended !== null;
  }

  /**
   * Runs on a worker until there is an outcome. Resolves with `again` when the worker died and the job deserves a second
   * run, else with `ended`. Never throws.
   */
  async run(worker: Worker, id: string): Promise<'ended' | 'again'> {
    const held: Segment[] = [];
    try {
      this.#running = worker.transcribe({ ...this.order.message, job: id });
      if (this.#ended !== null) this.#running.cancel();
      for await (const message of this.#running) {
        if (this.#ended !== null) continue;
        if (message.type === 'started') this.#settleStarted.resolve();
        else if (message.type === 'result') this.#finish(message, held);
        else if (!this.order.stream) held.push(message.segment);
        else this.#deliver(message.segment);
      }
      if (this.#ended === null) throw new AsrproError('internal_error', 'The worker ended the job without a result.');
      return 'ended';
    } catch (error) {
      if (this.#ended !== null) return 'ended';
      const failure = error as AsrproError;
      if (this.#maySucceedAgain(failure, worker)) return 'again';
      this.fail(failure);
      return 'ended';
    } finally {
      this.#running = null;
    }
  }

  /** Ends the job with an error; what still runs is stopped. The first outcome counts. */
  fail(error: AsrproError): void {
    if (this.#ended !== null) return;
    this.#ended = error;
    this.#settleStarted.reject(error);
    this.#settleResult.reject(error);
    this.segments.fail(error);
    this.#running?.cancel();
  }

  #deliver(segment: Segment): void {
    this.#delivered = true;
    this.segments.push(segment);
  }

  #finish(result: JobResult, held: readonly Segment[]): void {
    this.#ended = 'done';
    for (const segment of held) this.segments.push(segment);
    this.#settleStarted.resolve();
    this.#settleResult.resolve(result);
    this.segments.end();
  }

  #maySucceedAgain(error: AsrproError, worker: Worker): boolean {
    if (this.alone || this.#delivered) return false;
    // A worker that was ended on purpose took this job with it by accident.
    return SECOND_CHANCE.has(error.code) || (error.code === 'out_of_memory' && worker.device !== 'cpu');
  }
}
