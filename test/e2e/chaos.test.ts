import { expect, test } from 'vitest';
import { brokenTarget } from '../../bench/chaos/answers.ts';
import { gatewayDeaths, workerDeaths } from '../../bench/chaos/deaths.ts';
import { leavers, switches } from '../../bench/chaos/memory.ts';

/** A few rounds of `npm run bench:chaos`, which does a hundred: what it promises holds for each of them. */
test.each([
  ['workers are killed', () => workerDeaths(4)],
  ['gateways are killed', () => gatewayDeaths(4)],
  ['models are switched under load', () => switches(4)],
  ['clients wait for another model and leave', () => leavers(4)],
  ['a switch goes to a damaged model', brokenTarget],
])('%s: every request has one right or typed outcome, and nothing is left', async (_what, run) => {
  for (const { what, found, held } of await run()) expect(held, `${what}: ${found}`).toBe(true);
});
