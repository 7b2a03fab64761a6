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

/** What a caller wants. Which model that means is found out in its turn. */
export interface JobRequest {
  /** Whether it names its model; then `order` is asked at once. */
  named: boolean;
  /**
   * Makes the order.
   *
   * @param selected id of the model for a request that names none; null: the default.
   */
  order(selected: string | null): Promise<JobOrder>;
}

/** Errors after which a second run on a fresh worker may succeed. */
const SECOND_CHANCE = new Set(['worker_crashed', 'worker_start_failed']);

/**
 * One transcription from the queue to its end. Its caller sees `started` settle once, then the segments; between runs on
 * different workers it sees nothing.
 */
export class Job {
  readonly request: JobRequest;
  /** Resolves when the engine has begun, with the id of the model. */
  readonly started: Promise<string>;
  readonly segments: Channel<Segment> = createChannel<Segment>();
  readonly result: Promise<JobResult>;
  #order: JobOrder | null = null;
  #settleStarted!: { resolve(model: string): void; reject(error: Error): void };
  #settleResult!: { resolve(result: JobResult): void; reject(error: Error): void };
  #running: WorkerJob | null = null;
  #runs = 0;
  #delivered = false;
  #ended: AsrproError | 'done' | null = null;

  constructor(request: JobRequest) {
    this.request = request;
    this.started = new Promise((resolve, reject) => {
      this.#settleStarted = { resolve, reject };
    });
    this.result = new Promise((resolve, reject) => {
      this.#settleResult = { resolve, reject };
    });
    // A caller that waits for one of the two hears of a failure there; the other must not crash the process.
    this.started.catch(() => undefined);
    this.result.catch(() => undefined);
  }

  /** Finds its model. Throws what the request can be refused for. */
  async bind(selected: string | null): Promise<Model> {
    this.#order = await this.request.order(selected);
    return this.#order.model;
  }

  /**
   * Runs on a worker until there is an outcome. Resolves with `again` when the worker died and the job deserves a second
   * run, else with `ended`. Never throws.
   */
  async run(worker: Worker, id: string): Promise<'ended' | 'again'> {
    const order = this.#order!;
    const held: Segment[] = [];
    this.#runs += 1;
    try {
      this.#running = worker.transcribe({ ...order.message, job: id });
      if (this.#ended !== null) this.#running.cancel();
      for await (const message of this.#running) {
        if (this.#ended !== null) continue;
        if (message.type === 'started') this.#settleStarted.resolve(order.model.id);
        else if (message.type === 'result') this.#finish(message, held);
        else if (!order.stream) held.push(message.segment);
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
    this.#settleStarted.resolve(this.#order!.model.id);
    this.#settleResult.resolve(result);
    this.segments.end();
  }

  #maySucceedAgain(error: AsrproError, worker: Worker): boolean {
    if (this.#runs > 1 || this.#delivered) return false;
    // A worker that was ended on purpose took this job with it by accident.
    return SECOND_CHANCE.has(error.code) || (error.code === 'out_of_memory' && worker.device !== 'cpu');
  }
}
