import { beforeEach, describe, expect, it } from 'vitest';
import { AsrproError } from '../../src/errors.ts';
import { describeModel, describeWorker } from '../../src/residency/describe.ts';
import { Machine } from '../../src/residency/machine.ts';
import type { Effect, Event } from '../../src/residency/state.ts';
import { exitOf, loadedFacts, modelNamed } from './models.ts';

/** Sequences of events and the effects that the machine answers with. The numbers are those of the rules in decide.ts. */
const [a, b, other] = [modelNamed('a'), modelNamed('b'), modelNamed('other', 'nemo')];
const cpu = { device: 'cpu', compute_type: 'int8', threads: 0, concurrency: 0 };
const crash = new AsrproError('worker_crashed', 'The worker crashed.');

let now: number;
let machine: Machine;
let effects: Effect[];
beforeEach(() => {
  now = 1000;
  effects = [];
  machine = new Machine({
    limits: { maxQueue: 4, queueSeconds: 60, drainSeconds: 10 },
    now: () => now,
    perform: (effect) => effects.push(effect),
  });
});

/** Feeds events. Returns the effects of the last one as kind and subject, without selections and timers. */
function on(...events: Event[]): string[] {
  for (const event of events) {
    effects.length = 0;
    machine.dispatch(event);
  }
  return effects.filter(({ type }) => type !== 'SetTimer' && type !== 'Select').map(short);
}

function short(effect: Effect): string {
  if ('error' in effect && 'id' in effect) return `${effect.type} ${effect.id} ${effect.error.code}`;
  if (effect.type === 'StopWorker') return `${effect.type} ${effect.generation} ${effect.how}`;
  if ('id' in effect) return `${effect.type} ${effect.id}`;
  if ('generation' in effect) return `${effect.type} ${effect.generation}`;
  return 'model' in effect && effect.model !== null
    ? `${effect.type} ${typeof effect.model === 'string' ? effect.model : effect.model.id}`
    : effect.type;
}

/** Advances the clock to the next timer of the machine, which must be this far away. */
function after(seconds: number): string[] {
  const { timer } = machine.state;
  expect(timer).toBeCloseTo(now + seconds, 3);
  now = timer!;
  return on({ type: 'TimeCame' });
}

const job = (id: number, model: typeof a | null): Event[] => [
  { type: 'PlaceTaken' },
  { type: 'JobArrived', id, named: model !== null },
  ...(model === null ? [] : ([{ type: 'JobBound', id, model }] as const)),
];
const load = (id: number, model: typeof a): Event[] => [
  { type: 'LoadAsked', id, model },
  { type: 'LoadChecked', id },
];
const chosen = (model: typeof a, settings = cpu): Event => ({ type: 'SettingsChosen', model, settings });
const up = (generation: number): Event => ({ type: 'WorkerUp', generation });
const loaded = (generation: number, concurrency = 1): Event => ({
  type: 'ModelLoaded',
  generation,
  loaded: loadedFacts(concurrency),
});
const exited = (generation: number, endedBy: 'us' | 'itself' = 'us'): Event => ({
  type: 'WorkerExited',
  generation,
  exit: exitOf(endedBy),
  error: crash,
});
const unload = (id: number, subject: string | null = null): Event => ({ type: 'UnloadAsked', id, subject });
const ended = (id: number, again = false): Event => ({ type: 'JobEnded', id, again });

/** Loads `model` in generation 1 for a job that has ended. */
function withLoaded(model = a, concurrency = 1): void {
  on(...job(1, model), chosen(model), up(1), loaded(1, concurrency), ended(1));
  expect(describeModel(machine.state)).toMatchObject({ status: 'loaded', model: model.id });
}

describe('a request', () => {
  it('gets its model loaded, and starts', () => {
    expect(on(...job(1, a))).toEqual(['ChooseSettings a', 'StartWorker 1']);
    expect(on(chosen(a))).toEqual([]);
    expect(on(up(1))).toEqual(['BeginLoad a', 'LoadModel 1']);
    expect(on(loaded(1))).toEqual(['StartJob 1']);
    expect(on(ended(1))).toEqual([]);
    expect(describeModel(machine.state)).toMatchObject({ model: 'a', status: 'loaded' });
  });

  it('without a model gets one when it is first in line, and another one after a new selection (8.1)', () => {
    withLoaded();
    on(...job(2, a), ...job(3, a));
    expect(on(...job(4, null))).toEqual([]);
    expect(on(ended(2))).toEqual(['StartJob 3', 'BindJob 4']);
    expect(effects).toContainEqual({ type: 'BindJob', id: 4, selected: 'a' });
    // An unload goes first and clears the selection.
    on({ type: 'JobBound', id: 4, model: a }, unload(5), ended(3), exited(1));
    expect(on({ type: 'CommandCarriedOut', id: 5, done: true })).toEqual(['BindJob 4']);
    expect(effects).toContainEqual({ type: 'BindJob', id: 4, selected: null });
  });

  it('waits for a free slot, and runs alone when it may have crashed a worker (8.2)', () => {
    withLoaded(a, 2);
    expect(on(...job(2, a))).toEqual(['StartJob 2']);
    expect(on(...job(3, a))).toEqual(['StartJob 3']);
    expect(on(...job(4, a))).toEqual([]);
    expect(on(exited(1, 'itself'), ended(2, true), ended(3, true))).toEqual([]);
    expect(on(up(2), loaded(2, 2))).toEqual(['StartJob 2']);
    expect(on(ended(2))).toEqual(['StartJob 3']);
    expect(on(ended(3))).toEqual(['StartJob 4']);
  });

  it('fails when it has waited too long (4)', () => {
    on(...job(1, a));
    expect(after(60)).toEqual(['FailJob 1 queue_timeout', 'StopWorker 1 kill']);
  });

  it('is refused when its model keeps crashing the worker, until a load names the model (8.3)', () => {
    let generation = 0;
    for (const id of [1, 2]) {
      on(...job(id, a), chosen(a));
      for (const attempt of [1, 2]) {
        generation += 1;
        on(up(generation));
        expect(on(exited(generation, 'itself')), `attempt ${attempt}`).toHaveLength(2);
      }
    }
    expect(on(...job(3, a))).toEqual(['FailJob 3 model_load_failed']);
    expect(on(...load(4, a))).toContain(`StartWorker ${generation + 1}`);
  });
});

describe('a worker whose cluster is lost', () => {
  const heard = (generation: number, reachable: boolean): Event => ({ type: 'ClusterHeard', generation, reachable });
  const gone = new AsrproError('cluster_unreachable', 'The head does not answer.');

  it('is ended after a while, and the model is loaded again for the next job that needs it (3.4)', () => {
    withLoaded();
    expect(on(...job(2, a), heard(1, false))).toEqual([]);
    expect(after(15)).toEqual(['StopWorker 1 kill']);
    expect(on(exited(1), ended(2))).toEqual([]);
    expect(describeWorker(machine.state, now)).toMatchObject({ state: 'stopped', restarts: 0, lastError: null });
    expect(on(...job(3, a))).toEqual(['StartWorker 2']);
  });

  it('keeps running when the head answers again in time', () => {
    withLoaded();
    on(heard(1, false), heard(1, true));
    expect(machine.state.timer).toBeNull();
    expect(on(...job(2, a))).toEqual(['StartJob 2']);
  });

  it('that ends by itself does not count as crashed in any phase, and its engine gets no backoff', () => {
    for (let generation = 1; generation <= 6; generation += 1) {
      on(...job(generation, a), chosen(a), up(generation), heard(generation, false));
      on({ ...exited(generation, 'itself'), error: gone } as Event);
      on({ type: 'LoadFailed', generation, error: gone });
    }
    expect(machine.state).toMatchObject({ restarts: 0, lastError: null, loadCrashes: new Map(), crashes: new Map() });
  });
});

describe('a switch', () => {
  it('prepares the next worker while jobs run, and starts when they have ended (8.4, 8.5, 6)', () => {
    withLoaded();
    on(...job(2, a));
    expect(on(...load(3, other))).toEqual(['ChooseSettings other', 'StartWorker 2']);
    expect(on(chosen(other), up(2))).toEqual([]);
    expect(describeModel(machine.state)).toMatchObject({ model: 'a', status: 'loaded' });
    expect(on(ended(2))).toEqual(['BeginLoad other', 'StopWorker 1 ask']);
    expect(describeModel(machine.state)).toMatchObject({ model: 'other', status: 'loading' });
    expect(on(exited(1))).toEqual(['LoadModel 2']);
    expect(on(loaded(2))).toEqual(['AnswerLoad 3']);
    expect(effects).toContainEqual({ type: 'AnswerLoad', id: 3, previous: 'a' });
  });

  it('ends the prepared worker when no job needs it any more (3.3)', () => {
    withLoaded();
    on(...job(2, a), ...job(3, other), chosen(other), up(2));
    const left = new AsrproError('client_closed', 'The client went away.');
    expect(on({ type: 'JobLeft', id: 3, error: left })).toEqual(['FailJob 3 client_closed', 'StopWorker 2 kill']);
  });

  it('keeps the prepared worker when another job in line needs it', () => {
    withLoaded();
    on(...job(2, a), ...job(3, other), ...job(4, a), ...job(5, other), chosen(other), up(2));
    const left = new AsrproError('client_closed', 'The client went away.');
    expect(on({ type: 'JobLeft', id: 3, error: left })).toEqual(['FailJob 3 client_closed']);
  });

  it('retries a failed preparation when its turn comes, and not earlier', () => {
    withLoaded();
    on(...job(2, a), ...job(3, other), chosen(other));
    expect(on(exited(2, 'itself'))).toEqual(['TellCrash']);
    expect(on(ended(2))).toEqual(['StartWorker 3']);
    expect(on(exited(3, 'itself'))).toEqual(['TellCrash', 'FailJob 3 worker_crashed']);
    expect(describeModel(machine.state)).toMatchObject({ model: 'a', status: 'loaded' });
  });

  it('that fails loads the previous model again, and reports both outcomes (6, 4)', () => {
    withLoaded();
    on(...load(2, other), chosen(other), up(2), exited(1));
    const broken = new AsrproError('model_broken', 'It is damaged.');
    expect(on({ type: 'LoadFailed', generation: 2, error: broken })).toEqual([
      'TellBroken other',
      'StopWorker 2 kill',
      'ChooseSettings a',
    ]);
    expect(on(chosen(a))).toEqual(['StartWorker 3']);
    on(exited(2));
    expect(on(up(3))).toEqual(['LoadModel 3']);
    expect(on(loaded(3))).toEqual(['FailCommand 2 model_broken']);
    expect(effects).toContainEqual(
      expect.objectContaining({
        error: expect.objectContaining({ message: "It is damaged. The model 'a' is loaded again." }),
      }),
    );
  });

  it('reports it when loading the previous model fails too', () => {
    withLoaded();
    on(...load(2, other), chosen(other), up(2), exited(1));
    const broken = new AsrproError('model_broken', 'It is damaged.');
    on({ type: 'LoadFailed', generation: 2, error: broken }, chosen(a), exited(2), up(3));
    expect(on({ type: 'LoadFailed', generation: 3, error: broken })).toContain('FailCommand 2 model_broken');
    expect(effects).toContainEqual(
      expect.objectContaining({
        error: expect.objectContaining({
          message: expect.stringContaining('could not be loaded again: It is damaged.'),
        }),
      }),
    );
    expect(on(exited(3))).toEqual([]);
    expect(describeModel(machine.state).status).toBe('none');
  });

  it('loads on the CPU when the GPU caused the failure', () => {
    on(...job(1, a), chosen(a, { ...cpu, device: 'cuda:0' }), up(1));
    const memory = new AsrproError('out_of_memory', 'CUDA out of memory');
    expect(on({ type: 'LoadFailed', generation: 1, error: memory })).toEqual(['StopWorker 1 kill', 'StartWorker 2']);
    on(up(2), exited(1));
    expect(effects).toContainEqual(
      expect.objectContaining({ settings: { ...cpu, device: 'cpu', compute_type: 'auto' } }),
    );
  });

  it('has no time limit of the queue once its load has started', () => {
    on(...load(1, a), chosen(a), up(1));
    now += 1000;
    expect(on({ type: 'TimeCame' })).toEqual([]);
    expect(on(loaded(1))).toEqual(['AnswerLoad 1']);
  });

  it('waits for running jobs, with a time limit (4)', () => {
    withLoaded();
    on(...job(2, a), ...load(3, b));
    expect(after(60)).toEqual(['FailCommand 3 model_busy', 'StopWorker 2 kill']);
  });
});

describe('an unload', () => {
  it('overtakes the jobs in line, which get their model loaded again after it (7)', () => {
    withLoaded();
    on(...job(2, a), ...job(3, a));
    expect(on(unload(4))).toEqual(['Drain 4']);
    expect(on(ended(2))).toEqual(['StopWorker 1 ask']);
    expect(on(exited(1))).toEqual(['CarryOutUnload 4']);
    expect(effects).toContainEqual({ type: 'CarryOutUnload', id: 4, ended: { generation: 1, model: 'a' } });
    expect(on({ type: 'CommandCarriedOut', id: 4, done: true })).toEqual(['StartWorker 2']);
  });

  it('gives running jobs the drain time, cancels them, and kills the worker if they do not stop (7.1, 3.2)', () => {
    withLoaded();
    on(...job(2, a), unload(3));
    expect(after(10)).toEqual(['FailJob 2 model_unloaded']);
    expect(on({ type: 'JobDeaf', id: 2 })).toEqual(['StopWorker 1 kill']);
    expect(on(exited(1))).toEqual(['CarryOutUnload 3']);
    expect(effects).toContainEqual({ type: 'CarryOutUnload', id: 3, ended: { generation: 1, model: 'a' } });
  });

  it('does not overtake an older load', () => {
    withLoaded();
    on(...job(2, a), ...load(3, b));
    expect(on(unload(4))).toEqual([]);
    on(ended(2), chosen(b), up(2), exited(1));
    expect(on(loaded(2))).toEqual(['AnswerLoad 3', 'StopWorker 2 ask']);
  });

  it('also ends a worker that is being prepared (7.2)', () => {
    on(...job(1, a));
    expect(on(unload(2))).toEqual(['StopWorker 1 kill']);
    expect(on(exited(1))).toEqual(['CarryOutUnload 2']);
  });

  it('of one model does not touch other models, and jobs that wait for it are checked again after it', () => {
    withLoaded();
    on(...job(2, a), ...job(3, b));
    expect(on(unload(4, 'b'))).toEqual(['CarryOutUnload 4']);
    expect(on({ type: 'PlaceTaken' }, { type: 'JobArrived', id: 5, named: true })).toEqual([]);
    expect(on({ type: 'CommandCarriedOut', id: 4, done: true })).toEqual(['BindJob 3', 'BindJob 5']);
  });

  it('lets no model be loaded while it runs', () => {
    withLoaded();
    on(...job(2, a), ...job(3, b), chosen(b), up(2), unload(4, 'b'));
    expect(on(ended(2))).toEqual([]);
    expect(on({ type: 'CommandCarriedOut', id: 4, done: false })).toEqual(['BeginLoad b', 'StopWorker 1 ask']);
  });

  it('fails when a killed worker does not end, and so does every load (6.1, 7.2)', () => {
    withLoaded();
    on(unload(2));
    expect(on({ type: 'WorkerStuck', generation: 1 })).toEqual(['FailCommand 2 worker_stuck']);
    expect(describeWorker(machine.state, now).state).toBe('failed');
    expect(on(...job(3, b))).toEqual(['FailJob 3 worker_stuck']);
    expect(on(...load(4, b))).toEqual(['FailCommand 4 worker_stuck']);
    expect(on(exited(1))).toEqual([]);
    expect(on(...job(5, b))).toEqual(['ChooseSettings b', 'StartWorker 2']);
  });

  it('is no exception: a switch fails too when its old worker does not end (6.1)', () => {
    withLoaded();
    on(...load(2, b), chosen(b), up(2));
    expect(on({ type: 'WorkerStuck', generation: 1 })).toContain('FailCommand 2 worker_stuck');
    expect(machine.state.load).toBeNull();
  });
});

describe('a job that does not stop', () => {
  it('lets jobs beside it finish before the worker is ended (3.2)', () => {
    withLoaded(a, 2);
    on(...job(2, a), ...job(3, a));
    on({ type: 'JobLeft', id: 2, error: new AsrproError('client_closed', 'gone') });
    expect(on({ type: 'JobDeaf', id: 2 })).toEqual([]);
    expect(on(...job(4, a))).toEqual([]);
    expect(on(ended(3))).toEqual(['StopWorker 1 kill', 'StartWorker 2']);
  });

  it('gives those jobs no more than the drain time', () => {
    withLoaded(a, 2);
    on(...job(2, a), ...job(3, a));
    on({ type: 'JobLeft', id: 2, error: new AsrproError('client_closed', 'gone') }, { type: 'JobDeaf', id: 2 });
    expect(after(10)).toEqual(['StopWorker 1 kill']);
  });

  it('harms no other job when it stops in time after all', () => {
    withLoaded(a, 2);
    on(...job(2, a), ...job(3, a), ...job(4, a));
    on({ type: 'JobLeft', id: 2, error: new AsrproError('client_closed', 'gone') }, { type: 'JobDeaf', id: 2 });
    expect(on(ended(2))).toEqual(['StartJob 4']);
  });
});

describe('workers that crash before they are ready', () => {
  it('delay only their own engine', () => {
    let generation = 0;
    for (let id = 1; id <= 5; id += 1) {
      on(...job(id, other));
      if (machine.state.generation === generation) after(machine.state.timer! - now);
      generation = machine.state.generation;
      expect(on(exited(generation, 'itself'))).toContain(`FailJob ${id} worker_crashed`);
    }
    expect(on(...job(6, other))).toEqual(['FailJob 6 model_busy']);
    expect(describeWorker(machine.state, now).state).toBe('failed');
    expect(on(...job(7, a))).toContain(`StartWorker ${generation + 1}`);
  });
});

describe('closing', () => {
  const close: Event = { type: 'CloseAsked', drainSeconds: 10 };

  it('refuses waiting jobs at once, lets running ones end, then shuts the worker down (2.1, 2.3, 2.4)', () => {
    withLoaded();
    on(...job(2, a), ...job(3, a), ...load(4, b));
    expect(on(close)).toEqual(['FailJob 3 shutting_down', 'FailCommand 4 shutting_down']);
    expect(on(ended(2))).toEqual(['StopWorker 1 ask']);
    expect(on(exited(1))).toEqual(['Closed']);
  });

  it('ends everything at its deadline, and returns one second later in any case (2.2, 2.3, 2.4)', () => {
    withLoaded();
    on(...job(2, a), close);
    expect(after(10)).toEqual(['FailJob 2 shutting_down', 'StopWorker 1 kill']);
    expect(after(1)).toEqual(['Closed']);
    expect(machine.state.timer).toBeNull();
  });

  it('kills a worker that takes too long for its shutdown', () => {
    withLoaded();
    expect(on(close)).toEqual(['StopWorker 1 ask']);
    expect(after(10)).toEqual(['StopWorker 1 kill']);
  });

  it('does not retry a job whose worker crashes (2.1)', () => {
    withLoaded();
    on(...job(2, a), close);
    expect(on(exited(1, 'itself'), ended(2, true))).toEqual(['FailJob 2 shutting_down', 'Closed']);
  });

  it('aborts a load', () => {
    on(...job(1, a), chosen(a), up(1));
    expect(on(close)).toEqual(['FailJob 1 shutting_down', 'StopWorker 1 ask']);
    expect(on(exited(1))).toEqual(['Closed']);
  });
});
