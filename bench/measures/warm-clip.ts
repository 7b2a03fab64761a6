import { audio } from '../../test/setup/checkout.ts';
import { type Contender, interleave, type Run } from '../contenders/contender.ts';
import { startInProcess } from '../contenders/in-process.ts';
import { startProduct } from '../contenders/over-http.ts';
import { startAgentCli } from '../peers/agent-cli.ts';
import type { Chart, Measured, Row, Surroundings } from '../row.ts';
import { median, ratio, spread } from '../statistics.ts';

const clip = audio('english/jfk.flac');
const MODEL = 'whisper-base';

/** An 11 s clip on a loaded model, with and without a given language. */
export async function warmClip(around: Surroundings): Promise<Measured> {
  const contenders: Contender[] = [
    await startInProcess(around.python, around.modelPath(MODEL)),
    await startProduct(around.home, MODEL),
  ];
  try {
    if (around.agentCli) contenders.push(await startAgentCli(around.agentCli, around.modelPath(MODEL), true));
    const known = await interleave(contenders, around.rounds(5), clip, 'en');
    const unknown = await interleave(contenders, around.rounds(5), clip, null);
    return {
      rows: [
        ...compare('11 s, language given', known, 0.78, 0.95),
        ...compare('11 s, no language', unknown, 0.5, 0.65),
      ],
      charts: [chart('11 s clip, language given', known), chart('11 s clip, no language', unknown)],
      raw: { known: Object.fromEntries(known), unknown: Object.fromEntries(unknown) },
    };
  } finally {
    for (const contender of contenders) await contender.stop();
  }
}

function compare(name: string, runs: Map<string, Run[]>, cpuTarget: number, wallTarget: number): Row[] {
  const [ours, theirs] = [runs.get('asrpro')!, runs.get('in-process')!];
  const row = (key: 'cpu' | 'wall', target: number): Row => ({
    name: `${name}: ${key === 'cpu' ? 'CPU' : 'wall'} time against in-process`,
    value: ratio(of(ours, key), of(theirs, key)),
    target,
    unit: 'x',
    detail: [...runs].map(([who, list]) => `${who} ${spread(of(list, key))} s`).join(', '),
  });
  return [row('cpu', cpuTarget), row('wall', wallTarget)];
}

function of(runs: readonly Run[], key: 'cpu' | 'wall'): number[] {
  return runs.map((run) => run[key]);
}

function chart(title: string, runs: Map<string, Run[]>): Chart {
  return {
    title: `${title}, CPU seconds`,
    unit: 's',
    bars: [...runs].map(([name, list]) => ({ name, value: median(of(list, 'cpu')) })),
  };
}
