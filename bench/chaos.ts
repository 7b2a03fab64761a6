/**
 * `npm run bench:chaos [-- --rounds N] [NAME...]`: kills, switches, disconnects and unloads with real models. It prints the
 * outcomes, and writes docs/reliability.md after a complete run. N (default 100) is the number of kills and cycles.
 */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { checkout } from '../test/setup/checkout.ts';
import { installForTests } from '../test/setup/shared-home.ts';
import { brokenTarget, disconnect, healthUnderLoad } from './chaos/answers.ts';
import { gatewayDeaths, workerDeaths } from './chaos/deaths.ts';
import { cycles, leavers, switches } from './chaos/memory.ts';
import type { Row } from './chaos/stage.ts';

const { values, positionals } = parseArgs({ options: { rounds: { type: 'string' } }, allowPositionals: true });
const rounds = Number(values.rounds ?? 100);

const parts: Record<string, () => Promise<Row[]>> = {
  cycles: () => cycles(rounds),
  'worker-deaths': () => workerDeaths(rounds),
  'gateway-deaths': () => gatewayDeaths(rounds),
  leavers: () => leavers(Math.ceil(rounds / 2)),
  // A switch loads two models, which takes longest, so it gets fewer rounds.
  switches: () => switches(Math.ceil(rounds / 4)),
  'broken-target': brokenTarget,
  health: () => healthUnderLoad(500),
  disconnect,
};

await installForTests();
const rows: Row[] = [];
for (const name of positionals.length > 0 ? positionals : Object.keys(parts)) {
  const startedAt = performance.now();
  for (const row of await parts[name]!()) {
    rows.push(row);
    console.log(`${row.held ? 'held' : 'NOT HELD'}: ${row.what}: ${row.found} (goal: ${row.goal})`);
  }
  console.log(`${name}: ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
}
if (positionals.length === 0) writeFileSync(path.join(checkout, 'docs', 'reliability.md'), page());
if (rows.some(({ held }) => !held)) process.exitCode = 1;

function page(): string {
  const machine = `${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}`;
  return [
    '# Reliability',
    '',
    `Written by \`npm run bench:chaos -- --rounds ${rounds}\` on ${new Date().toISOString().slice(0, 10)} (${machine}), with`,
    'the real models whisper-base and whisper-tiny.en. Moments are random with a fixed seed.',
    '',
    '| what | found | goal | held |',
    '|---|---|---|---|',
    ...rows.map(({ what, found, goal, held }) => `| ${what} | ${found} | ${goal} | ${held ? 'yes' : '**no**'} |`),
    '',
  ].join('\n');
}
