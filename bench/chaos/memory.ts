import { setTimeout as pause } from 'node:timers/promises';
import { availableBytes } from '../../src/worker/memory.ts';
import { call, post } from '../../test/setup/api.ts';
import { seeded } from '../../test/setup/seeded.ts';
import { median } from '../statistics.ts';
import {
  BASE,
  childrenOf,
  health,
  jfk,
  megabytes,
  outcome,
  type Row,
  residentBytes,
  secondsUntil,
  send,
  TINY,
  tally,
  withGateway,
  workersOf,
} from './stage.ts';

const SETTINGS = '/v1/settings/model';
/** Cycles before the first measurement, in which the gateway loads its own code. */
const WARM_UP = 5;
/** Clients disconnect at moments spread over this many seconds. */
const LEAVE_SECONDS = 0.6;

/** Cycles of load, transcribe and unload leave no worker, return its memory and do not grow the gateway. */
export async function cycles(rounds: number): Promise<Row[]> {
  return await withGateway(async (gateway) => {
    const outcomes: string[] = [];
    let left = 0;
    let before = 0;
    const reported: number[] = [];
    const freed: number[] = [];
    for (let round = -WARM_UP; round < rounds; round += 1) {
      if (round === 0) before = residentBytes(gateway.pid);
      await post(gateway.url, SETTINGS, { model_id: TINY });
      const one = await outcome(gateway.url, TINY);
      const free = availableBytes()!;
      const { json } = await call(gateway.url, SETTINGS, { method: 'DELETE' });
      left += workersOf(gateway).length;
      if (round < 0) continue;
      // Two independent measures: the report counts pages of the worker, the second one counts free pages of the machine.
      // Other programs disturb the second one in single rounds, so medians are compared.
      reported.push(json.memory.returned_bytes);
      freed.push(availableBytes()! - free);
      outcomes.push(one);
    }
    const growth = residentBytes(gateway.pid) - before;
    const [returned, gained] = [median(reported), median(freed)];
    return [
      {
        what: `${rounds} cycles of load, transcribe, unload`,
        found: `${tally(outcomes)}; ${left} workers left; gateway grew by ${megabytes(growth)}`,
        goal: 'no worker left, less than 5 MB',
        held: outcomes.every((text) => text === 'right') && left === 0 && growth < 5e6,
      },
      {
        what: 'memory that one of these unloads returned, median',
        found: `${megabytes(returned)} by its report; the machine had ${megabytes(gained)} more`,
        goal: 'no more than a tenth apart',
        held: returned > 0 && Math.abs(gained - returned) <= 0.1 * returned,
      },
    ];
  });
}

/** A client asks for another model during a job and disconnects at a random moment. Then the model is unloaded. */
export async function leavers(rounds: number): Promise<Row[]> {
  const random = seeded(3);
  return await withGateway(async (gateway) => {
    const outcomes: string[] = [];
    let left = 0;
    let longest = 0;
    let prepared = 0;
    for (let round = 0; round < rounds; round += 1) {
      const answers = [outcome(gateway.url, TINY), outcome(gateway.url, TINY)];
      await secondsUntil(async () => (await health(gateway.url)).queue.running > 0, 30);
      const leave = new AbortController();
      const waiting = send(gateway.url, jfk, leave.signal, BASE);
      await pause(random() * LEAVE_SECONDS * 1000);
      prepared += workersOf(gateway).length - 1;
      leave.abort();
      await waiting;
      longest = Math.max(longest, await secondsUntil(() => workersOf(gateway).length <= 1, 10));
      outcomes.push(...(await Promise.all(answers)));
      await call(gateway.url, SETTINGS, { method: 'DELETE' });
      left += workersOf(gateway).length;
    }
    return [
      {
        what: `${rounds} × a client waits for another model and disconnects, then an unload`,
        found: `${tally(outcomes)}; ${prepared} workers were prepared, the last gone after at most ${longest.toFixed(2)} s; ${left} workers left`,
        goal: 'no prepared worker stays, none is left, no wrong answer',
        held: outcomes.every((one) => one === 'right') && longest <= 1 && left === 0 && prepared > 0,
      },
    ];
  });
}

/** Switches the model while clients ask for both models, and samples the memory of the workers. */
export async function switches(rounds: number): Promise<Row[]> {
  return await withGateway(async (gateway) => {
    const single: number[] = [];
    for (const model of [BASE, TINY]) {
      await post(gateway.url, SETTINGS, { model_id: model });
      await outcome(gateway.url, model);
      single.push(Math.max(...workersOf(gateway).map(residentBytes)));
    }
    let most = 0;
    const sampler = setInterval(() => {
      const held = childrenOf(gateway.pid).reduce((sum, pid) => sum + residentBytes(pid), 0);
      most = Math.max(most, held);
    }, 25);
    const outcomes: string[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const [from, to] = round % 2 === 0 ? [TINY, BASE] : [BASE, TINY];
      const asked = [outcome(gateway.url, from), outcome(gateway.url, to)];
      const switched = await post(gateway.url, SETTINGS, { model_id: to });
      outcomes.push(
        switched.status === 200 ? 'switched' : (switched.json.error.code as string),
        ...(await Promise.all(asked)),
      );
    }
    clearInterval(sampler);
    const both = single[0]! + single[1]!;
    return [
      {
        what: `${rounds} switches under load`,
        found: `${tally(outcomes)}; workers' memory at most ${megabytes(most)} (one model ${megabytes(Math.max(...single))}, two ${megabytes(both)})`,
        goal: 'never two loaded models, no wrong answer',
        held: outcomes.every((one) => ['right', 'switched'].includes(one)) && most < both,
      },
    ];
  });
}
