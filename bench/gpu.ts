import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { corpus } from '../test/setup/corpus.ts';
import { createHome } from '../test/setup/create-home.ts';
import { sharedHome } from '../test/setup/shared-home.ts';
import { startInProcess } from './contenders/in-process.ts';
import { startProduct } from './contenders/over-http.ts';
import { streamed } from './contenders/streamed.ts';
import { english } from './long-audio.ts';
import { summary } from './report.ts';
import { ratio } from './statistics.ts';

const MODEL = 'whisper-base';
const PIECES = 8;
const FILES = 32;

/** On a GPU: a long file beside the library's batched pipeline, and many short files at once. It also runs on a CPU. */
export async function gpu(python: string): Promise<void> {
  const home = createHome(true);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-bench-'));
  const direct = await startInProcess(python, path.join(sharedHome, 'models', MODEL), { gpu: true });
  const product = await startProduct(home, MODEL);
  try {
    const files = corpus('librispeech').map(({ file }) => file);
    const short = Array.from({ length: FILES }, (_, at) => files[at % files.length]!);
    const send = (file: string): Promise<string> => product.transcribe(file, 'en');
    const long = await english(folder, 12);
    // The first request warms up: kernels are chosen and memory is allocated.
    await direct.ask(short[0]!, 'en', PIECES);
    await send(short[0]!);

    const theirs = (await direct.ask(long.path, 'en', PIECES)).seconds;
    const ours = (await streamed(product.gateway.url, long.path, MODEL, 'en')).wall;
    const single = await seconds(async () => {
      for (const file of short) await send(file);
    });
    const together = await seconds(async () => void (await Promise.all(short.map(send))));
    for (const row of [
      {
        name: `12 minutes against the batched pipeline, ${PIECES} pieces`,
        value: ratio([ours], [theirs]),
        target: 1,
        unit: 'x',
        detail: `asrpro ${ours.toFixed(1)} s, the pipeline ${theirs.toFixed(1)} s`,
      },
      {
        name: `${FILES} short files at once against one by one`,
        value: ratio([together], [single]),
        target: 0.3,
        unit: 'x',
        detail: `${together.toFixed(1)} s, one by one ${single.toFixed(1)} s`,
      },
    ])
      console.log(summary(row));
  } finally {
    await direct.stop();
    await product.stop();
    rmSync(home, { recursive: true });
    rmSync(folder, { recursive: true });
  }
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
}
