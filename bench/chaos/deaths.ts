import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createHome } from '../../test/setup/create-home.ts';
import { launchGateway } from '../../test/setup/launch.ts';
import { seeded } from '../../test/setup/seeded.ts';
import { isTyped, outcome, type Row, secondsUntil, TINY, tally, withGateway, workersOf } from './stage.ts';

/** The kills are spread over this many seconds from the start of the requests. */
const SPREAD_SECONDS = 1.5;

/** Kills the worker at random moments while three clients wait. */
export async function workerDeaths(rounds: number): Promise<Row[]> {
  const random = seeded(1);
  return await withGateway(
    async (gateway) => {
      const outcomes: string[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const answers = [1, 2, 3].map(() => outcome(gateway.url, TINY));
        await pause(random() * SPREAD_SECONDS * 1000);
        for (const pid of workersOf(gateway)) process.kill(pid, 'SIGKILL');
        outcomes.push(...(await Promise.all(answers)));
      }
      const after = await outcome(gateway.url, TINY);
      return [
        {
          what: `${rounds} × \`kill -9\` of the worker, three requests each`,
          found: `${tally(outcomes)}; the next request: ${after}`,
          goal: 'each answer right or a typed error, no connection cut',
          held: outcomes.every(isTyped) && after === 'right',
        },
      ];
    },
    { args: ['--model', TINY] },
  );
}

/** Kills the gateway at random moments. No process may be left two seconds later, and no folder after the next start. */
export async function gatewayDeaths(rounds: number): Promise<Row[]> {
  const random = seeded(2);
  const home = createHome(true);
  const outcomes: string[] = [];
  let longest = 0;
  for (let round = 0; round < rounds; round += 1) {
    const gateway = await launchGateway({ home });
    const answers = [1, 2].map(() => outcome(gateway.url, TINY));
    await pause(random() * (2 + SPREAD_SECONDS) * 1000);
    await gateway.stop('SIGKILL');
    longest = Math.max(longest, await secondsUntil(() => gateway.processes().length === 0, 10));
    outcomes.push(...(await Promise.all(answers)));
  }
  const last = await launchGateway({ home, mock: true });
  const left = readdirSync(path.join(home, 'run')).length - 1;
  await last.stop();
  rmSync(home, { recursive: true, force: true });
  return [
    {
      what: `${rounds} × \`kill -9\` of the gateway, two requests each`,
      found: `${tally(outcomes)}; last process gone after at most ${longest.toFixed(2)} s; ${left} folders after the next start`,
      goal: 'nothing left within 2 s',
      held: outcomes.every((one) => one === 'cut' || isTyped(one)) && longest <= 2 && left === 0,
    },
  ];
}
