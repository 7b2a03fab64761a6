import { existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { call, post as postJson } from '../test/setup/api.ts';
import { corpus } from '../test/setup/corpus.ts';
import { createHome } from '../test/setup/create-home.ts';
import { launchGateway } from '../test/setup/launch.ts';
import { sharedHome } from '../test/setup/shared-home.ts';
import { toyModels } from '../test/setup/toy-models.ts';
import { post } from './contenders/over-http.ts';
import { summary } from './report.ts';
import type { Row } from './row.ts';
import { ratio } from './statistics.ts';

const MODELS = ['parakeet-tdt-0.6b-v3-onnx', 'parakeet-tdt-0.6b-v3'];
const FILES = 16;

/**
 * Parakeet in ONNX form and as `.nemo`: speed of the GPU beside the CPU, its memory after an unload, and a second start. It
 * takes the models of the tests' home where they are installed, else toys, whose figures only show that the bench works.
 * Without a GPU it refuses: the CPU would be compared with itself.
 */
export async function gpuParakeet(): Promise<void> {
  const toys = await toyModels();
  for (const model of MODELS) {
    const real = path.join(sharedHome, 'models', model);
    const isReal = existsSync(real);
    const home = createHome(true);
    try {
      if (!isReal) symlinkSync(path.join(toys, model), path.join(home, 'models', model), 'junction');
      const before = await cardMegabytes();
      const [cpu, card, again] = [
        await run(home, model, 'cpu'),
        await run(home, model, 'auto'),
        await run(home, model, 'auto'),
      ];
      if (card.device === 'cpu') throw new Error('there is no GPU that the engine can use: nothing to compare');
      const what = `${model}${isReal ? '' : ' (toy)'} on ${card.device}`;
      const rows: Row[] = [
        {
          name: `${what} against the CPU, ${FILES} files at once`,
          value: ratio([card.seconds], [cpu.seconds]),
          target: 0.3,
          unit: 'x',
          detail: `${card.seconds.toFixed(1)} s, the CPU ${cpu.seconds.toFixed(1)} s, ${card.same(cpu)} of ${FILES} texts the same`,
        },
        {
          name: `${what}, memory of the card after an unload`,
          value: card.left - before,
          target: 0,
          unit: 'MB',
          detail: `loaded ${(card.held - before).toFixed(0)} MB`,
        },
        {
          name: `${what}, tests of the card at the second start`,
          value: again.tests,
          target: 0,
          unit: 'tests',
          detail: `load ${again.load.toFixed(1)} s, at the first start ${card.load.toFixed(1)} s with ${card.tests}`,
        },
      ];
      for (const row of rows) console.log(summary(row));
    } finally {
      rmSync(home, { recursive: true });
    }
  }
}

interface Ran {
  device: string;
  /** Seconds of the load, with the capability test of the device if there is one. */
  load: number;
  seconds: number;
  /** Results that this start has added to devices.json. */
  tests: number;
  /** Memory of the GPU in MB while the model is loaded. */
  held: number;
  /** The same after an unload, while the gateway keeps running. */
  left: number;
  same(other: Ran): number;
  texts: string[];
}

async function run(home: string, model: string, prefer: string): Promise<Ran> {
  const known = tested(home);
  const gateway = await launchGateway({ home, environment: { ASRPRO_DEVICE_PREFER: prefer } });
  try {
    let begin = performance.now();
    const loaded = await postJson(gateway.url, '/v1/settings/model', { model_id: model });
    if (loaded.status !== 200) throw new Error(loaded.text);
    const load = (performance.now() - begin) / 1000;
    const { device } = (await call(gateway.url, '/v1/settings/model')).json;
    const files = corpus('librispeech').map(({ file }) => file);
    const sent = Array.from({ length: FILES }, (_, at) => files[at % files.length]!);
    // The first request warms up: kernels are chosen and memory is allocated.
    await post(gateway.url, sent[0]!, { model });
    begin = performance.now();
    const texts = await Promise.all(sent.map((file) => post(gateway.url, file, { model })));
    const seconds = (performance.now() - begin) / 1000;
    const held = await cardMegabytes();
    await call(gateway.url, '/v1/settings/model', { method: 'DELETE' });
    const left = await cardMegabytes();
    const same = (other: Ran): number => texts.filter((text, at) => text === other.texts[at]).length;
    return { device, load, seconds, tests: tested(home) - known, held, left, texts, same };
  } finally {
    await gateway.stop();
  }
}

function tested(home: string): number {
  const file = path.join(home, 'cache', 'devices.json');
  return existsSync(file) ? Object.keys(JSON.parse(readFileSync(file, 'utf8')) as object).length : 0;
}

/** Used memory of all GPUs according to the driver; 0 without a GPU. */
async function cardMegabytes(): Promise<number> {
  const args = ['--query-gpu=memory.used', '--format=csv,noheader,nounits'];
  const { stdout, failed } = await execa('nvidia-smi', args, { reject: false });
  return failed ? 0 : stdout.split('\n').reduce((sum, line) => sum + Number(line), 0);
}
