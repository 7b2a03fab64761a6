import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { audio } from '../../test/setup/checkout.ts';
import { type Contender, interleave } from '../contenders/contender.ts';
import { startInProcess } from '../contenders/in-process.ts';
import { startProduct } from '../contenders/over-http.ts';
import { startAgentCli } from '../peers/agent-cli.ts';
import type { Measured, Surroundings } from '../row.ts';
import { median, spread } from '../statistics.ts';

const MODEL = 'whisper-tiny.en';
/** The length of a word. In shorter clips the product finds no speech and does not call the engine. */
const SECONDS = 1;

/**
 * The cost of a request beyond the engine's work, on a clip as short as a word. In-process runs with the allocator and thread
 * settings of the product's worker, so that the difference is the transport and not the engine.
 */
export async function fixedCost(around: Surroundings): Promise<Measured> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-bench-'));
  const contenders: Contender[] = [];
  try {
    const clip = path.join(folder, 'word.wav');
    await execa(around.python, [path.join(import.meta.dirname, 'first_seconds.py'), audio('english/jfk.flac'), clip], {
      input: String(SECONDS),
    });
    contenders.push(await startInProcess(around.python, around.modelPath(MODEL), { tuned: true }));
    contenders.push(await startProduct(around.home, MODEL));
    if (around.agentCli) contenders.push(await startAgentCli(around.agentCli, around.modelPath(MODEL), true));
    const runs = await interleave(contenders, around.rounds(30), clip, 'en');
    const walls = [...runs].map(([name, list]) => [name, list.map((run) => run.wall * 1000)] as const);
    const base = walls[0]![1];
    const extra = (list: readonly number[]): number => median(list.map((wall, index) => wall - base[index]!));
    return {
      rows: [
        {
          name: 'fixed cost of a request over in-process',
          value: extra(walls[1]![1]),
          target: 10,
          unit: 'ms',
          detail: walls.map(([name, list]) => `${name} ${spread(list, 0)} ms`).join(', '),
        },
      ],
      charts: [
        {
          title: 'Fixed cost of a request over in-process',
          unit: 'ms',
          bars: walls.slice(1).map(([name, list]) => ({ name, value: Math.max(0, extra(list)) })),
        },
      ],
      raw: Object.fromEntries(walls),
    };
  } finally {
    for (const contender of contenders) await contender.stop();
    rmSync(folder, { recursive: true });
  }
}
