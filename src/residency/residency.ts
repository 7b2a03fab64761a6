import { AsrproError } from '../errors.ts';
import type { Model } from '../models/model.ts';
import { stopping } from './decide.ts';
import { concurrencyOf, describeModel, describeQueue, describeWorker, inForce, mainWorker } from './describe.ts';
import { clock, type EffectOptions, Effects } from './effects.ts';
import { Job, type JobRequest } from './job.ts';
import { Machine } from './machine.ts';
import { retryAfterSeconds } from './rate.ts';
import type { State } from './state.ts';
import type { Jobs, LoadReport, Reservation, Residency, ResidentStatus, UnloadReport } from './types.ts';

export type ResidencyOptions = EffectOptions & State['limits'];

/** What is loaded, for the rooms above: turns their calls into events of the machine, and its outcomes into promises. */
export function createResidency(options: ResidencyOptions): Residency & Jobs {
  const { maxQueue, queueSeconds, drainSeconds } = options;
  const effects: Effects = new Effects(options, (event) => machine.dispatch(event));
  const limits = { maxQueue, queueSeconds, drainSeconds };
  const machine = new Machine({ limits, now: clock, perform: (effect) => effects.perform(effect) });
  let tickets = 0;

  const requireOpen = (): void => {
    if (machine.state.closing !== null) throw stopping();
  };

  const status = (): ResidentStatus => {
    const described = describeModel(machine.state);
    const worker = described.status === 'loaded' ? mainWorker(machine.state) : null;
    const memoryBytes =
      worker && (effects.worker(worker.generation)?.memoryBytes ?? worker.loaded?.memory_bytes ?? null);
    return { ...described, memoryBytes };
  };

  const unload = async <T>(subject: string | null, act: (report: UnloadReport) => Promise<T>): Promise<T> => {
    requireOpen();
    tickets += 1;
    const id = tickets;
    return await new Promise<T>((resolve, reject) => {
      const unloaded = async (report: UnloadReport): Promise<void> => {
        const acted = act(report);
        acted.then(resolve, reject);
        await acted;
      };
      effects.addWaiter(id, { unloaded, fail: reject });
      machine.dispatch({ type: 'UnloadAsked', id, subject });
    });
  };

  const enqueue = async (request: JobRequest, signal: AbortSignal): ReturnType<Reservation['start']> => {
    tickets += 1;
    const id = tickets;
    const job = new Job(request);
    effects.addJob(id, job);
    const leave = (): void =>
      machine.dispatch({ type: 'JobLeft', id, error: new AsrproError('client_closed', 'The client went away.') });
    signal.addEventListener('abort', leave, { once: true });
    void job.result.catch(() => undefined).finally(() => signal.removeEventListener('abort', leave));
    machine.dispatch({ type: 'JobArrived', id, named: request.named });
    if (signal.aborted) leave();
    const model = await job.started;
    return { model, segments: job.segments, result: job.result };
  };

  return {
    status,
    inForce: (model) => inForce(machine.state, model),
    health() {
      const worker = mainWorker(machine.state);
      const running = worker === null ? null : effects.worker(worker.generation);
      return {
        worker: {
          ...describeWorker(machine.state, clock()),
          pid: running?.pid ?? null,
          memoryBytes: running?.memoryBytes ?? null,
        },
        queue: describeQueue(machine.state),
      };
    },
    async load(model: Model): Promise<LoadReport> {
      requireOpen();
      tickets += 1;
      const id = tickets;
      return await new Promise((resolve, reject) => {
        effects.addWaiter(id, { loaded: (previous) => resolve({ ...status(), previous }), fail: reject });
        machine.dispatch({ type: 'LoadAsked', id, model });
      });
    },
    unload: () => unload(null, async (report) => report),
    whileUnloaded: (modelId, action) => unload(modelId, action),
    reserve() {
      requireOpen();
      const { state } = machine;
      const { running, waiting } = describeQueue(state);
      const concurrency = concurrencyOf(state);
      if (waiting + running >= maxQueue + concurrency) {
        throw new AsrproError('queue_full', `The queue is full: ${waiting} requests are waiting.`, {
          retryAfterSeconds: retryAfterSeconds(state.secondsPerJob, waiting, concurrency),
        });
      }
      machine.dispatch({ type: 'PlaceTaken' });
      let held = true;
      return {
        release() {
          if (held) machine.dispatch({ type: 'PlaceLeft' });
          held = false;
        },
        async start(request, signal) {
          requireOpen();
          held = false;
          return await enqueue(request, signal);
        },
      };
    },
    async close(seconds) {
      machine.dispatch({ type: 'CloseAsked', drainSeconds: seconds });
      await effects.closed;
    },
  };
}
