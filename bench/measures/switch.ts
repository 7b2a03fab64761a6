import { startInProcess } from '../contenders/in-process.ts';
import { startProduct } from '../contenders/over-http.ts';
import type { Measured, Surroundings } from '../row.ts';
import { ratio, spread } from '../statistics.ts';

const [FROM, TO] = ['whisper-base', 'whisper-tiny.en'];

/** A switch of the model against the same steps in a new Python process: start, import, load and warm-up. */
export async function switchModel(around: Surroundings): Promise<Measured> {
  const product = await startProduct(around.home, FROM);
  try {
    const [ours, theirs]: [number[], number[]] = [[], []];
    for (let round = 0; round < around.rounds(4); round += 1) {
      let begin = performance.now();
      const direct = await startInProcess(around.python, around.modelPath(TO));
      await direct.warmUp();
      theirs.push((performance.now() - begin) / 1000);
      await direct.stop();

      begin = performance.now();
      await select(product.gateway.url, TO);
      ours.push((performance.now() - begin) / 1000);
      await select(product.gateway.url, FROM);
    }
    return {
      rows: [
        {
          name: `switch ${FROM} to ${TO} against the same steps in a fresh Python`,
          value: ratio(ours, theirs),
          target: 1.15,
          unit: 'x',
          detail: `asrpro ${spread(ours)} s, in-process ${spread(theirs)} s`,
        },
      ],
      charts: [],
      raw: { ours, theirs },
    };
  } finally {
    await product.stop();
  }
}

async function select(url: string, model: string): Promise<void> {
  const response = await fetch(`${url}/v1/settings/model`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model_id: model }),
  });
  if (!response.ok) throw new Error(await response.text());
}
