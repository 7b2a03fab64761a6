/**
 * `npm run bench [NAME...] [-- --full | --once]`: measures the product beside faster-whisper in-process and beside a peer,
 * prints each row with its target and writes docs/benchmarks.md. With names, it runs only those measures, and the page keeps
 * the figures of the others. `page` measures nothing and writes the page again. `--once` checks the bench itself and writes
 * nothing.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { mainProgram } from '../test/setup/checkout.ts';
import { createHome } from '../test/setup/create-home.ts';
import { installForTests, sharedHome } from '../test/setup/shared-home.ts';
import { cluster } from './cluster.ts';
import { clusterSize } from './cluster-size.ts';
import { downloads } from './downloads.ts';
import { find } from './find.ts';
import { gpu } from './gpu.ts';
import { gpuParakeet } from './gpu-parakeet.ts';
import { lifeAfterApp } from './kill.ts';
import { fixedCost } from './measures/fixed-cost.ts';
import { longFile } from './measures/long-file.ts';
import { startAndIdle } from './measures/start-and-idle.ts';
import { switchModel } from './measures/switch.ts';
import { together } from './measures/together.ts';
import { warmClip } from './measures/warm-clip.ts';
import { words } from './measures/words.ts';
import { overhead } from './overhead.ts';
import { installAgentCli } from './peers/agent-cli.ts';
import { recording } from './recording.ts';
import { keep, summary, writeReport } from './report.ts';
import type { Measured, Surroundings } from './row.ts';
import { start } from './start.ts';

const measures: Record<string, (around: Surroundings) => Promise<Measured>> = {
  'warm-clip': warmClip,
  'fixed-cost': fixedCost,
  together,
  'start-and-idle': startAndIdle,
  switch: switchModel,
  'long-file': longFile,
  words,
};

/** These run only when they are named. They print their figures and write no page. */
const others: Record<string, () => Promise<void>> = {
  downloads,
  find,
  start,
  kill: lifeAfterApp,
  'cluster-size': clusterSize,
  overhead,
  recording,
  cluster,
  gpu: async () => {
    await gpu(await corePython());
    await gpuParakeet();
  },
  'gpu-parakeet': gpuParakeet,
  page: async () => writeReport(Object.keys(measures), []),
};

const full = process.argv.includes('--full');
const once = process.argv.includes('--once');
const names = process.argv.slice(2).filter((word) => !word.startsWith('--'));
await installForTests();
for (const name of names) await others[name]?.();
const chosen = names.length > 0 ? names.filter((name) => name in measures) : Object.keys(measures);

if (chosen.length > 0) await compare(chosen);

async function compare(chosen: readonly string[]): Promise<void> {
  const skipped: string[] = [];
  const home = createHome(true);
  try {
    const python = await corePython();
    const around: Surroundings = {
      home,
      python,
      modelPath: (id) => path.join(sharedHome, 'models', id),
      agentCli: await installAgentCli(python).catch((error: Error) => {
        skipped.push(`agent-cli (${error.message.split('\n')[0]})`);
        return null;
      }),
      rounds: (normal) => (once ? 1 : full ? 2 * normal : normal),
      full,
    };
    for (const name of chosen) {
      console.error(`\n=== ${name}`);
      const measured = await measures[name]!(around);
      for (const row of measured.rows) console.log(summary(row));
      if (!once) keep(name, measured, full);
    }
    if (!once) writeReport(Object.keys(measures), skipped);
  } finally {
    rmSync(home, { recursive: true });
  }
}

async function corePython(): Promise<string> {
  const { stdout } = await execa(process.execPath, [mainProgram, 'setup', 'core', '--json'], {
    env: { ASRPRO_HOME: sharedHome },
    stderr: 'inherit',
  });
  return (JSON.parse(stdout) as { python: string }).python;
}
