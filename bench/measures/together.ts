import { audio } from '../../test/setup/checkout.ts';
import { startInProcess } from '../contenders/in-process.ts';
import { startProduct } from '../contenders/over-http.ts';
import type { Measured, Surroundings } from '../row.ts';
import { quantile, ratio, spread } from '../statistics.ts';
import { startHealthWatch } from './health-watch.ts';

const MODEL = 'whisper-base';
const JOBS = 8;

/** Eight clips of 11 s at once against the same eight clips in-process, one after the other with all threads. */
export async function together(around: Surroundings): Promise<Measured> {
  const files = Array.from({ length: JOBS }, () => audio('english/jfk.flac'));
  const direct = await startInProcess(around.python, around.modelPath(MODEL));
  const product = await startProduct(around.home, MODEL);
  try {
    const [ours, theirs, health]: [number[], number[], number[]] = [[], [], []];
    for (let round = -1; round < around.rounds(2); round += 1) {
      let begin = performance.now();
      for (const file of files) await direct.transcribe(file, 'en');
      const serial = (performance.now() - begin) / 1000;

      const watch = await startHealthWatch(product.gateway.url);
      begin = performance.now();
      await Promise.all(files.map((file) => product.transcribe(file, 'en')));
      const parallel = (performance.now() - begin) / 1000;
      const answers = await watch.stop();
      // The first round warms up.
      if (round < 0) continue;
      theirs.push(serial);
      ours.push(parallel);
      health.push(...answers);
    }
    const milliseconds = `${health.length} calls, median ${quantile(health, 0.5).toFixed(1)} ms`;
    return {
      rows: [
        {
          name: `${JOBS} clips of 11 s at once: total time against one after the other in-process`,
          value: ratio(ours, theirs),
          target: 0.5,
          unit: 'x',
          detail: `asrpro ${spread(ours)} s, in-process ${spread(theirs)} s`,
        },
        { name: '/health meanwhile, p99', value: quantile(health, 0.99), target: 20, unit: 'ms', detail: milliseconds },
        { name: '/health meanwhile, worst', value: Math.max(...health), target: 60, unit: 'ms', detail: milliseconds },
      ],
      charts: [
        {
          title: `${JOBS} clips of 11 s, total seconds`,
          unit: 's',
          bars: [
            { name: 'in-process', value: quantile(theirs, 0.5) },
            { name: 'asrpro', value: quantile(ours, 0.5) },
          ],
        },
      ],
      raw: { ours, theirs, health },
    };
  } finally {
    await direct.stop();
    await product.stop();
  }
}
