import { call, post } from '../../test/setup/api.ts';
import { BASE, megabytes, outcome, type Row, residentBytes, TINY, tally, withGateway, workersOf } from './stage.ts';

const SETTINGS = '/v1/settings/model';
/** Cycles before the first reading: the gateway loads its own code in them. */
const WARM_UP = 5;

/** Load, transcribe, unload: no worker afterwards, and no more memory in the gateway. */
export async function cycles(rounds: number): Promise<Row[]> {
  return await withGateway(async (gateway) => {
    const outcomes: string[] = [];
    let left = 0;
    let returned = true;
    let before = 0;
    for (let round = -WARM_UP; round < rounds; round += 1) {
      if (round === 0) before = residentBytes(gateway.pid);
      await post(gateway.url, SETTINGS, { model_id: TINY });
      const one = await outcome(gateway.url, TINY);
      const { json } = await call(gateway.url, SETTINGS, { method: 'DELETE' });
      left += workersOf(gateway).length;
      returned &&= json.memory.returned_bytes === json.memory.before_bytes && json.memory.before_bytes > 0;
      if (round >= 0) outcomes.push(one);
    }
    const growth = residentBytes(gateway.pid) - before;
    return [
      {
        what: `${rounds} cycles of load, transcribe, unload`,
        found: `${tally(outcomes)}; ${left} workers left; gateway grew by ${megabytes(growth)}`,
        goal: 'no worker left, less than 5 MB',
        held: outcomes.every((text) => text === 'right') && left === 0 && returned && growth < 5e6,
      },
    ];
  });
}

/** Switches while clients ask for both models: the workers' memory is sampled all the time. */
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
      most = Math.max(
        most,
        workersOf(gateway).reduce((sum, pid) => sum + residentBytes(pid), 0),
      );
    }, 25);
    const outcomes: string[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const [to, other] = round % 2 === 0 ? [BASE, TINY] : [TINY, BASE];
      const asked = [outcome(gateway.url, to), outcome(gateway.url, other)];
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
