import type { ModelEngine } from '../../src/engine-table.ts';
import { AsrproError } from '../../src/errors.ts';
import type { Model } from '../../src/models/model.ts';
import { CLOSE_GRACE_SECONDS } from '../../src/residency/decide.ts';
import { describeModel, describeQueue, mainWorker } from '../../src/residency/describe.ts';
import { Machine } from '../../src/residency/machine.ts';
import type { Effect, Event } from '../../src/residency/state.ts';
import { exitOf, loadedFacts, modelNamed } from './models.ts';

/** The real state of a process, which the machine may not know. */
interface Process {
  generation: number;
  engine: ModelEngine;
  phase: 'spawning' | 'silent' | 'up' | 'loading' | 'loaded';
  model: string | null;
  /** A kill has no effect. */
  immortal: boolean;
  told: 'ask' | 'kill' | null;
  stuck: boolean;
}

interface WorldJob {
  id: number;
  named: Model | null;
  place: 'waiting' | 'running';
  bound: Model | null;
  first: Model | null;
  outcome: 'open' | 'failed';
  generation: number | null;
  runs: number;
  cancelled: boolean;
}

type Question =
  | Extract<Effect, { type: 'BindJob' | 'CheckLoad' | 'ChooseSettings' }>
  | (Extract<Effect, { type: 'CarryOutUnload' }> & { subject: string | null });

interface Command {
  id: number;
  kind: 'load' | 'unload';
  model: Model | null;
}

export const MODELS: readonly Model[] = [
  modelNamed('a'),
  modelNamed('b'),
  modelNamed('c', 'nemo'),
  modelNamed('d', 'onnx-asr'),
];
export const DEFAULT: Model = MODELS[0]!;

/**
 * Everything around the machine: processes, clients and a clock, and the rules that must always hold. An effect that breaks
 * a rule throws. `check` compares the state of the machine with the real one.
 */
export class World {
  now = 1000;
  readonly machine: Machine;
  readonly processes = new Map<number, Process>();
  /** Jobs without an outcome, and failed jobs that still run. */
  readonly jobs = new Map<number, WorldJob>();
  /** Commands without an answer. */
  readonly commands = new Map<number, Command>();
  /** Queries that the machine has sent and that have no answer yet. */
  readonly questions: Question[] = [];
  readonly limits = { maxQueue: 32, queueSeconds: 60, drainSeconds: 10 };
  /** The expected selection, and the one that the machine has reported. */
  selected: string | null = null;
  told: string | null = null;
  closing: number | null = null;
  closed = false;
  tickets = 0;
  #performed = 0;

  constructor() {
    this.machine = new Machine({
      limits: this.limits,
      now: () => this.now,
      perform: (effect) => {
        this.#performed += 1;
        if (this.#performed > 500) throw new Error(`the machine does not come to rest: ${JSON.stringify(effect)}`);
        this.#perform(effect);
      },
    });
  }

  dispatch(event: Event): void {
    this.#performed = 0;
    this.machine.dispatch(event);
    this.check();
  }

  // Actions of clients

  arrive(named: Model | null): void {
    const id = this.#ticket();
    const job = { id, named, place: 'waiting', bound: null, first: null, outcome: 'open', generation: null } as const;
    this.jobs.set(id, { ...job, runs: 0, cancelled: false });
    this.dispatch({ type: 'PlaceTaken' });
    this.dispatch({ type: 'JobArrived', id, named: named !== null });
  }

  load(model: Model): void {
    const id = this.#ticket();
    this.commands.set(id, { id, kind: 'load', model });
    this.dispatch({ type: 'LoadAsked', id, model });
  }

  unload(model: Model | null): void {
    const id = this.#ticket();
    this.commands.set(id, { id, kind: 'unload', model });
    this.dispatch({ type: 'UnloadAsked', id, subject: model?.id ?? null });
  }

  leave(job: WorldJob): void {
    job.cancelled = true;
    this.dispatch({ type: 'JobLeft', id: job.id, error: new AsrproError('client_closed', 'gone') });
  }

  close(drainSeconds: number): void {
    this.closing = this.now + drainSeconds;
    this.dispatch({ type: 'CloseAsked', drainSeconds });
  }

  // Actions of processes

  hello(process: Process): void {
    process.phase = 'up';
    this.dispatch({ type: 'WorkerUp', generation: process.generation });
  }

  exit(process: Process, byUs: boolean): void {
    const { generation } = process;
    this.processes.delete(generation);
    const code = process.phase === 'silent' ? 'worker_start_failed' : 'worker_crashed';
    const error = new AsrproError(code, 'The worker ended.');
    this.dispatch({ type: 'WorkerExited', generation, exit: exitOf(byUs ? 'us' : 'itself'), error });
    if (process.phase === 'loading') this.dispatch({ type: 'LoadFailed', generation, error });
    for (const job of this.jobsOn(generation)) this.endJob(job, job.runs === 1);
  }

  notStarted(process: Process): void {
    this.processes.delete(process.generation);
    const error = new AsrproError('engine_not_installed', 'There is no such engine.');
    this.dispatch({ type: 'WorkerNotStarted', generation: process.generation, error });
  }

  loaded(process: Process, concurrency: number): void {
    process.phase = 'loaded';
    this.dispatch({ type: 'ModelLoaded', generation: process.generation, loaded: loadedFacts(concurrency) });
  }

  loadFails(process: Process, code: 'model_broken' | 'worker_unresponsive' | 'internal_error'): void {
    process.phase = 'up';
    const error = new AsrproError(code, 'It cannot be loaded.');
    this.dispatch({ type: 'LoadFailed', generation: process.generation, error });
  }

  endJob(job: WorldJob, again = false): void {
    job.generation = null;
    if (again && job.outcome === 'open') job.place = 'waiting';
    else this.jobs.delete(job.id);
    this.dispatch({ type: 'JobEnded', id: job.id, again });
  }

  hang(job: WorldJob): void {
    this.dispatch({ type: 'JobHung', id: job.id });
    if (job.outcome !== 'open') return;
    job.outcome = 'failed';
    this.endJob(job);
  }

  answer(question: Question, succeeds: boolean): void {
    this.questions.splice(this.questions.indexOf(question), 1);
    const error = new AsrproError('model_not_found', 'There is no such model.');
    if (question.type === 'ChooseSettings') {
      const { model } = question;
      const settings = {
        device: this.now % 2 < 1 ? 'cpu' : 'cuda:0',
        compute_type: 'auto',
        threads: 0,
        concurrency: 0,
      };
      this.dispatch(succeeds ? { type: 'SettingsChosen', model, settings } : { type: 'SettingsFailed', model, error });
    } else if (question.type === 'CarryOutUnload') {
      // A deleted model is no longer selected.
      if (succeeds && question.subject === this.selected) this.selected = null;
      this.dispatch({ type: 'CommandCarriedOut', id: question.id, done: succeeds });
    } else if (!succeeds) {
      this.dispatch({ type: 'CheckFailed', id: question.id, error });
    } else if (question.type === 'CheckLoad') {
      this.dispatch({ type: 'LoadChecked', id: question.id });
    } else {
      const job = this.jobs.get(question.id);
      const model = job?.named ?? MODELS.find(({ id }) => id === question.selected) ?? DEFAULT;
      // Otherwise its client has disconnected.
      if (job !== undefined) job.bound = model;
      this.dispatch({ type: 'JobBound', id: question.id, model });
    }
  }

  pass(seconds: number): void {
    const until = this.now + seconds;
    for (let { timer } = this.machine.state; timer !== null && timer <= until; { timer } = this.machine.state) {
      this.now = Math.max(this.now, timer);
      this.dispatch({ type: 'TimeCame' });
    }
    this.now = until;
    this.check();
  }

  jobsOn(generation: number): WorldJob[] {
    return [...this.jobs.values()].filter((job) => job.generation === generation);
  }

  /** Checks the invariants that hold at every moment. */
  check(): void {
    const { state } = this.machine;
    const alive = [...this.processes.values()];
    const owned = state.workers.every(({ generation }) => this.processes.has(generation));
    must(owned && state.workers.length === alive.length, 'every process has an owner, and exists');
    const holding = alive.filter(({ model }) => model !== null);
    must(holding.length <= 1, 'one model in memory');
    must(state.selected === this.selected && this.told === this.selected, 'the selection is what was asked for');
    this.#checkHealth(holding[0]);
    this.#checkPrepared(alive);
    const open = [...this.jobs.values()];
    const { running, waiting } = describeQueue(state);
    must(waiting === open.filter(({ place }) => place === 'waiting').length, 'jobs that wait are counted');
    must(running === open.filter(({ generation }) => generation !== null).length, 'jobs that run are counted');
    const late = this.closing !== null && this.now >= this.closing + CLOSE_GRACE_SECONDS;
    must(!late || this.closed, 'it is closed in time');
  }

  #checkHealth(holding: Process | undefined): void {
    const { state } = this.machine;
    const { status, model } = describeModel(state);
    if (status === 'loaded')
      must(holding?.phase === 'loaded' && holding.told === null && holding.model === model, 'loaded is loaded');
    if (status === 'none') must(holding === undefined, 'none is none');
    if (status === 'unloading') must(holding?.model === model, 'unloading is there');
    const worker = mainWorker(state);
    must((worker === null) === (this.processes.size === 0), 'a worker is shown when there is one');
    if (holding?.told === null) must(worker?.generation === holding.generation, 'the one that works is shown');
  }

  #checkPrepared(alive: readonly Process[]): void {
    const idle = alive.filter(({ model, told }) => model === null && told === null).length;
    const { line, load } = this.machine.state;
    const needed = load !== null || line.some(({ kind }) => kind !== 'unload');
    must(idle <= (needed ? 1 : 0), 'a prepared worker is needed by somebody');
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'StartWorker': {
        const { generation, engine } = effect;
        const nothing = { model: null, told: null, stuck: false, immortal: false } as const;
        this.processes.set(generation, { generation, engine, phase: 'spawning', ...nothing });
        break;
      }
      case 'StopWorker': {
        const process = this.processes.get(effect.generation);
        if (process === undefined) throw new Error('a process that is gone is told to end');
        if (process.told === 'kill') throw new Error('killed twice');
        process.told = effect.how;
        break;
      }
      case 'LoadModel': {
        const process = this.processes.get(effect.generation);
        for (const other of this.processes.values()) if (other.model !== null) throw new Error('two models at once');
        must(process?.phase === 'up' && process.told === null, 'a model goes to a worker that is up');
        must(process?.engine === effect.model.engine, 'to its engine');
        process!.phase = 'loading';
        process!.model = effect.model.id;
        break;
      }
      case 'BindJob':
      case 'CheckLoad':
      case 'ChooseSettings':
        this.questions.push(effect);
        break;
      case 'StartJob':
        this.#startJob(effect.id, effect.generation);
        break;
      case 'FailJob': {
        const job = this.jobs.get(effect.id);
        must(job?.outcome === 'open', 'a job has one outcome');
        job.outcome = 'failed';
        if (job.place === 'waiting') this.jobs.delete(job.id);
        break;
      }
      case 'CarryOutUnload': {
        const command = this.#answer(effect.id);
        const { model } = command;
        for (const process of this.processes.values()) {
          if (model === null || process.model === model.id) throw new Error('an unload leaves a process');
        }
        if (model === null) this.selected = null;
        const older = [...this.commands.keys()].some((id) => id < effect.id);
        must(!older, 'no older load undoes an unload');
        this.questions.push({ ...effect, subject: model?.id ?? null });
        break;
      }
      case 'AnswerLoad': {
        const { model } = this.#answer(effect.id);
        const loaded = [...this.processes.values()].find(({ phase }) => phase === 'loaded');
        must(loaded?.model === model!.id, 'what was loaded is loaded');
        must(
          this.#waiting().every(({ id }) => id > effect.id),
          'no older request undoes a load',
        );
        this.selected = model!.id;
        break;
      }
      case 'FailCommand':
        this.#answer(effect.id);
        break;
      case 'Select':
        this.told = effect.model;
        break;
      case 'Closed':
        must(!this.closed, 'it is closed once');
        this.closed = true;
        must(this.now <= this.closing! + CLOSE_GRACE_SECONDS + 0.001, 'it is closed in time');
        break;
    }
  }

  #startJob(id: number, generation: number): void {
    const job = this.jobs.get(id);
    must(job?.place === 'waiting' && job.outcome === 'open', 'a job that starts was waiting');
    const process = this.processes.get(generation);
    must(process?.phase === 'loaded' && process.told === null, 'a job starts on a worker that can');
    must(process.model === job.bound!.id, 'with the model that it is for');
    // Jobs and loads start in the order of their arrival.
    const older = [...this.jobs.values()].filter(({ place }) => place === 'waiting');
    const loads = [...this.commands.values()].filter(({ kind }) => kind === 'load');
    must(
      [...older, ...loads].every((one) => one.id >= id),
      'nobody is overtaken',
    );
    if (job.named !== null) this.selected = job.named.id;
    else if (job.runs === 0)
      must(job.bound!.id === (this.selected ?? DEFAULT.id), 'no name: the selected, or the default');
    job.first ??= job.bound;
    must(job.first === job.bound, 'a second run has the same model');
    job.place = 'running';
    job.generation = generation;
    job.runs += 1;
  }

  #waiting(): WorldJob[] {
    return [...this.jobs.values()].filter(({ place }) => place === 'waiting');
  }

  #answer(id: number): Command {
    const command = this.commands.get(id);
    must(command !== undefined, 'a command has one answer');
    this.commands.delete(id);
    return command;
  }

  #ticket(): number {
    this.tickets += 1;
    return this.tickets;
  }
}

function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`not so: ${what}`);
}
