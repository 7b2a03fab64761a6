import { expect, test } from 'vitest';
import { brokenTarget } from '../../bench/chaos/answers.ts';
import { gatewayDeaths, workerDeaths } from '../../bench/chaos/deaths.ts';
import { leavers, switches } from '../../bench/chaos/memory.ts';

/** One or two rounds of the measurements of `npm run bench:chaos`, which takes a hundred. Their goals hold for every round. */
test.each([
  ['workers are killed', () => workerDeaths(2)],
  ['gateways are killed', () => gatewayDeaths(2)],
  ['models are switched under load', () => switches(1)],
  ['clients wait for another model and disconnect', () => leavers(2)],
  ['a switch goes to a damaged model', brokenTarget],
])('%s: every request ends right or with a typed error, and no process is left', async (_what, run) => {
  for (const { what, found, held } of await run()) expect(held, `${what}: ${found}`).toBe(true);
});
