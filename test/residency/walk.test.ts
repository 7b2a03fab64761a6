import { expect, test } from 'vitest';
import { AsrproError } from '../../src/errors.ts';
import { seeded } from '../setup/seeded.ts';
import { MODELS, World } from './world.ts';

const EPISODES = 200;
const STEPS = 500;

/** All events that may happen next, with their weights. */
function happenings(world: World, random: () => number): [number, () => void][] {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  const model = () => pick(MODELS);
  const list: [number, () => void][] = [[2, () => world.pass(random() ** 4 * 40)]];
  if (world.closing === null) {
    if (world.machine.state.line.length < 12) {
      list.push([3, () => world.arrive(random() < 0.3 ? null : model())]);
      list.push([0.6, () => world.load(model())]);
    }
    list.push([0.4, () => world.unload(random() < 0.6 ? null : model())]);
  }
  const open = [...world.jobs.values()].filter(({ outcome, cancelled }) => outcome === 'open' && !cancelled);
  if (open.length > 0) list.push([0.7, () => world.leave(pick(open))]);
  for (const question of world.questions) list.push([4, () => world.answer(question, random() < 0.9)]);
  for (const process of world.processes.values()) {
    const { phase, told, generation, immortal } = process;
    list.push([0.15, () => phase !== 'spawning' && world.exit(process, false)]);
    if (told !== null) {
      if (phase === 'spawning') list.push([4, () => (random() < 0.2 ? world.notStarted(process) : spawned(process))]);
      else if (immortal && told === 'kill' && !process.stuck) list.push([2, () => stick(world, process)]);
      else if (!immortal || process.stuck) list.push([immortal ? 0.3 : 4, () => world.exit(process, true)]);
      continue;
    }
    if (phase === 'spawning') list.push([4, () => (random() < 0.1 ? world.notStarted(process) : spawned(process))]);
    if (phase === 'silent') list.push([4, () => world.hello(process)]);
    if (phase === 'silent' || phase === 'up') list.push([0.2, () => broken(world, generation)]);
    if (phase === 'loading') {
      list.push([4, () => world.loaded(process, 1 + Math.floor(random() * 3))]);
      const codes = ['model_broken', 'worker_unresponsive', 'internal_error'] as const;
      list.push([0.6, () => world.loadFails(process, pick(codes))]);
    }
    for (const job of world.jobsOn(generation)) {
      list.push([2, () => world.endJob(job)]);
      list.push([0.1, () => world.hang(job)]);
      if (job.outcome !== 'open') list.push([0.3, () => world.dispatch({ type: 'JobDeaf', id: job.id })]);
    }
  }
  const [first] = world.processes.values();
  if (first) {
    const { generation } = first;
    list.push([0.1, () => world.dispatch({ type: 'ClusterHeard', generation, reachable: random() < 0.5 })]);
  }
  // Late messages about processes and jobs that have ended.
  const id = Math.floor(random() * (world.tickets + 2));
  const gone = Math.floor(random() * world.machine.state.generation);
  if (!world.processes.has(gone)) list.push([0.1, () => world.dispatch({ type: 'WorkerUp', generation: gone })]);
  if (!world.jobs.has(id)) list.push([0.1, () => world.dispatch({ type: 'JobEnded', id, again: true })]);
  return list;

  function spawned(process: { phase: string; immortal: boolean }): void {
    process.phase = 'silent';
    process.immortal = random() < 0.03;
  }
}

function stick(world: World, process: { generation: number; stuck: boolean }): void {
  process.stuck = true;
  const jobs = world.jobsOn(process.generation);
  // The worker never reports on these jobs again.
  for (const job of jobs) job.generation = null;
  world.dispatch({ type: 'WorkerStuck', generation: process.generation });
  for (const job of jobs) world.jobs.delete(job.id);
}

function broken(world: World, generation: number): void {
  const code = world.processes.get(generation)!.phase === 'silent' ? 'worker_start_failed' : 'worker_crashed';
  world.dispatch({ type: 'WorkerBroke', generation, error: new AsrproError(code, 'It talks nonsense.') });
}

function step(world: World, random: () => number): void {
  const list = happenings(world, random);
  let at = random() * list.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, act] of list) {
    at -= weight;
    if (at <= 0) return act();
  }
}

/** Lets every process do what the machine asks, and advances the clock. */
function settle(world: World): void {
  for (let round = 0; round < 2000; round += 1) {
    for (const question of [...world.questions]) world.answer(question, true);
    for (const process of [...world.processes.values()]) {
      if (process.told !== null && process.phase !== 'spawning') world.exit(process, true);
      else if (process.phase === 'spawning') process.phase = 'silent';
      else if (process.phase === 'silent') world.hello(process);
      else if (process.phase === 'loading') world.loaded(process, 1);
    }
    for (const job of [...world.jobs.values()]) if (job.generation !== null) world.endJob(job);
    const { load } = world.machine.state;
    if (world.jobs.size + world.commands.size + world.questions.length === 0 && load === null) return;
    world.pass(1);
  }
  throw new Error(`it does not come to an end: ${JSON.stringify(world.machine.state)}`);
}

test('100 000 random events: one loaded model, one outcome for each job, arrival order, and reports that match the processes', () => {
  let events = 0;
  for (let episode = 0; episode < EPISODES; episode += 1) {
    const random = seeded(episode + 1);
    const world = new World();
    try {
      for (let count = 0; count < STEPS; count += 1) step(world, random);
      events += STEPS;
      if (episode % 2 === 0) {
        world.close(random() * 20);
        for (let count = 0; count < 100; count += 1) step(world, random);
        world.pass(Math.max(0, world.closing! - world.now));
        world.pass(1.001);
        expect(world.closed).toBe(true);
        const waiting = [...world.jobs.values()].some(({ outcome }) => outcome === 'open');
        expect(waiting, 'a job without an outcome').toBe(false);
      } else settle(world);
    } catch (error) {
      throw new Error(`episode ${episode}: ${(error as Error).message}`, { cause: error });
    }
  }
  expect(events).toBe(100_000);
});
