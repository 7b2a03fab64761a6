import { openAsBlob, rmSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { audio, mainProgram } from '../test/setup/checkout.ts';
import { createHome } from '../test/setup/create-home.ts';
import { sharedHome } from '../test/setup/shared-home.ts';
import { type Contender, interleave } from './contenders/contender.ts';
import { startInProcess } from './contenders/in-process.ts';
import { type Product, startProduct } from './contenders/over-http.ts';
import { median, spread } from './statistics.ts';

const clip = audio('english/jfk.flac');
const MODEL = 'whisper-base';
const ROUNDS = 7;

/** The time that gateway, wire and worker add to faster-whisper in the same Python environment, as JSON and as a stream. */
export async function overhead(): Promise<void> {
  const home = createHome(true);
  const { stdout } = await execa(process.execPath, [mainProgram, 'setup', 'core', '--json'], {
    env: { ASRPRO_HOME: sharedHome },
  });
  const { python } = JSON.parse(stdout) as { python: string };
  const yardstick = await startInProcess(python, path.join(sharedHome, 'models', MODEL), { tuned: true });
  const product = await startProduct(home, MODEL);
  const contenders: Contender[] = [yardstick, { ...product, name: 'json' }, streaming(product)];
  try {
    const runs = await interleave(contenders, ROUNDS, clip, 'en');
    const wall = (name: string): number[] => runs.get(name)!.map((run) => run.wall);
    console.log(`overhead, ${MODEL}, 11 s clip, ${ROUNDS} rounds: in-process ${spread(wall('in-process'))} s`);
    for (const name of ['json', 'stream']) {
      const more = (median(wall(name)) - median(wall('in-process'))) * 1000;
      console.log(`  ${name}: ${spread(wall(name))} s, ${more >= 0 ? '+' : ''}${more.toFixed(0)} ms`);
    }
  } finally {
    await product.stop();
    await yardstick.stop();
    rmSync(home, { recursive: true });
  }
}

function streaming({ gateway, pid }: Product): Contender {
  return {
    name: 'stream',
    pid,
    async transcribe(file, language) {
      const form = new FormData();
      for (const [name, value] of Object.entries({ model: MODEL, language: language ?? '', stream: 'true' }))
        form.append(name, value);
      form.append('file', await openAsBlob(file), path.basename(file));
      const response = await fetch(`${gateway.url}/v1/audio/transcriptions`, { method: 'POST', body: form });
      const frames = (await response.text()).trimEnd().split('\n\n');
      const done = JSON.parse(frames.at(-1)!.replace(/^data: /, '')) as { type: string; text: string };
      if (done.type !== 'transcript.text.done') throw new Error(`the stream ended with ${frames.at(-1)}`);
      return done.text;
    },
    stop: async () => undefined,
  };
}
