import { AsrproError, asAsrproError } from '../errors.ts';
import type { Model } from '../models/model.ts';
import type { JobResult, Segment, TranscribeMessage } from '../wire/messages.ts';
import { type Channel, createChannel } from '../worker/channel.ts';
import type { JobRun, Worker } from '../worker/worker.ts';

/** What a worker is to do, already checked against the model. */
export interface JobSpec {
  model: Model;
  message: Omit<TranscribeMessage, 'type' | 'job'>;
  /** Whether to deliver segments as they come; else all are delivered at the end, so that a retry goes unnoticed. */
  stream: boolean;
}

/** What a client asked for. Its model is known when the request names one, else when the job is next. */
export interface JobRequest {
  namesModel: boolean;
  /** Chooses the model and checks the request against it. @param selected used when none is named; null: the default. */
  resolve(selected: string | null): Promise<JobSpec>;
}

/** Errors after which a retry on a fresh worker may succeed. */
const RETRYABLE = new Set(['worker_crashed', 'worker_start_failed']);

/** One transcription, from the queue to its outcome. Its caller does not notice a retry on a second worker. */
export class Job {
  readonly #request: JobRequest;
  readonly #started = Promise.withResolvers<string>();
  readonly #result = Promise.withResolvers<JobResult>();
  /** Resolves when the engine has begun, with the id of the model. */
  readonly started: Promise<string> = this.#started.promise;
  readonly segments: Channel<Segment> = createChannel<Segment>();
  readonly result: Promise<JobResult> = this.#result.promise;
  #spec: JobSpec | null = null;
  #run: JobRun | null = null;
  #runs = 0;
  #delivered = false;
  #outcome: AsrproError | 'done' | null = null;

  constructor(request: JobRequest) {
    this.#request = request;
    // A caller may wait for only one of the two: the rejection of the other must not crash the process.
    this.started.catch(() => undefined);
    this.result.catch(() => undefined);
  }

  /** Finds the job's model. Throws when the request must be refused. */
  async bind(selected: string | null): Promise<Model> {
    this.#spec = await this.#request.resolve(selected);
    return this.#spec.model;
  }

  /** Runs the job on a worker. Resolves with `retry` when the worker died and a second run may succeed; never throws. */
  async run(worker: Worker, id: string): Promise<'ended' | 'retry'> {
    const { model, message, stream } = this.#spec!;
    const held: Segment[] = [];
    this.#runs += 1;
    try {
      this.#run = worker.transcribe({ ...message, job: id });
      if (this.#outcome !== null) this.#run.cancel();
      for await (const answer of this.#run) {
        if (this.#outcome !== null) continue;
        if (answer.type === 'started') this.#started.resolve(model.id);
        else if (answer.type === 'result') this.#finish(answer, held);
        else if (!stream) held.push(answer.segment);
        else this.#deliver(answer.segment);
      }
      if (this.#outcome === null) throw new AsrproError('internal_error', 'The worker ended the job without a result.');
      return 'ended';
    } catch (error) {
      if (this.#outcome !== null) return 'ended';
      const failure = asAsrproError(error);
      if (this.#mayRetry(failure, worker)) return 'retry';
      this.fail(failure);
      return 'ended';
    } finally {
      this.#run = null;
    }
  }

  /** Ends the job with an error and cancels its run. Only the first outcome counts. */
  fail(error: AsrproError): void {
    if (this.#outcome !== null) return;
    this.#outcome = error;
    this.#started.reject(error);
    this.#result.reject(error);
    this.segments.fail(error);
    this.#run?.cancel();
  }

  #deliver(segment: Segment): void {
    this.#delivered = true;
    this.segments.push(segment);
  }

  #finish(result: JobResult, held: readonly Segment[]): void {
    this.#outcome = 'done';
    for (const segment of held) this.segments.push(segment);
    this.#started.resolve(this.#spec!.model.id);
    this.#result.resolve(result);
    this.segments.end();
  }

  #mayRetry(error: AsrproError, worker: Worker): boolean {
    if (this.#runs > 1 || this.#delivered) return false;
    return RETRYABLE.has(error.code) || (error.code === 'out_of_memory' && worker.device !== 'cpu');
  }
}
