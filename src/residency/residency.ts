import { AsrproError } from '../errors.ts';
import type { Model } from '../models/model.ts';
import { describeModel, describeQueue, describeWorker, inForce, mainWorker } from './describe.ts';
import { clock, type EffectOptions, Effects } from './effects.ts';
import { Job, type JobRequest } from './job.ts';
import { Machine } from './machine.ts';
import { queueFull, shuttingDown } from './refusals.ts';
import { concurrencyOf, type State } from './state.ts';
import type { JobQueue, LoadReport, Reservation, Residency, ResidentStatus, UnloadReport } from './types.ts';

export type ResidencyOptions = EffectOptions & State['limits'];

/** Turns calls into events of the machine, and the outcomes of the machine into promises. */
export function createResidency(options: ResidencyOptions): Residency & JobQueue {
  const { maxQueue, queueSeconds, drainSeconds } = options;
  const effects: Effects = new Effects(options, (event) => machine.dispatch(event));
  const limits = { maxQueue, queueSeconds, drainSeconds };
  const machine = new Machine({ limits, now: clock, perform: (effect) => effects.perform(effect) });
  let lastId = 0;
  const nextId = (): number => {
    lastId += 1;
    return lastId;
  };

  const requireOpen = (): void => {
    if (machine.state.closing !== null) throw shuttingDown();
  };

  const status = (): ResidentStatus => {
    const described = describeModel(machine.state);
    const worker = described.status === 'loaded' ? mainWorker(machine.state) : null;
    const memoryBytes =
      worker && (effects.worker(worker.generation)?.memoryBytes ?? worker.loaded?.memory_bytes ?? null);
    return { ...described, memoryBytes };
  };

  const unload = async <T>(modelId: string | null, action: (report: UnloadReport) => Promise<T>): Promise<T> => {
    requireOpen();
    const id = nextId();
    return await new Promise<T>((resolve, reject) => {
      const unloaded = async (report: UnloadReport): Promise<void> => {
        const outcome = action(report);
        outcome.then(resolve, reject);
        await outcome;
      };
      effects.addCommand(id, { unloaded, fail: reject });
      machine.dispatch({ type: 'UnloadRequested', id, modelId });
    });
  };

  const enqueue = async (request: JobRequest, signal: AbortSignal): ReturnType<Reservation['start']> => {
    const id = nextId();
    const job = new Job(request);
    effects.addJob(id, job);
    const cancel = (): void => {
      const error = new AsrproError('client_closed', 'The client disconnected.');
      machine.dispatch({ type: 'JobCancelled', id, error });
    };
    signal.addEventListener('abort', cancel, { once: true });
    void job.result.catch(() => undefined).finally(() => signal.removeEventListener('abort', cancel));
    machine.dispatch({ type: 'JobArrived', id, namesModel: request.namesModel });
    if (signal.aborted) cancel();
    const model = await job.started;
    return { model, segments: job.segments, result: job.result };
  };

  return {
    status,
    inForce: (model) => inForce(machine.state, model),
    health() {
      const worker = mainWorker(machine.state);
      const process = worker === null ? null : effects.worker(worker.generation);
      return {
        worker: {
          ...describeWorker(machine.state, clock()),
          pid: process?.pid ?? null,
          memoryBytes: process?.memoryBytes ?? null,
        },
        queue: describeQueue(machine.state),
      };
    },
    async load(model: Model): Promise<LoadReport> {
      requireOpen();
      const id = nextId();
      return await new Promise((resolve, reject) => {
        effects.addCommand(id, { loaded: (previous) => resolve({ ...status(), previous }), fail: reject });
        machine.dispatch({ type: 'LoadRequested', id, model });
      });
    },
    unload: () => unload(null, async (report) => report),
    whileUnloaded: (modelId, action) => unload(modelId, action),
    reserve() {
      requireOpen();
      const { state } = machine;
      const { running, waiting } = describeQueue(state);
      if (waiting + running >= maxQueue + concurrencyOf(state)) throw queueFull(state, waiting);
      machine.dispatch({ type: 'SlotReserved' });
      let held = true;
      return {
        release() {
          if (held) machine.dispatch({ type: 'SlotReleased' });
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
      machine.dispatch({ type: 'CloseRequested', drainSeconds: seconds });
      await effects.closed;
    },
  };
}
