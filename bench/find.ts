import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createHome } from '../test/setup/create-home.ts';
import { type Gateway, launchGateway } from '../test/setup/launch.ts';
import { median, spread } from './statistics.ts';

const FOREIGN = 300;
const CALLS = 200;

/** The time that repositories of other programs in the Hugging Face cache add to a lookup of a model and to /health. */
export async function find(): Promise<void> {
  const home = createHome(true);
  const [empty, full] = ['empty', 'full'].map((name) => path.join(home, 'hubs', name)) as [string, string];
  for (let index = 0; index < FOREIGN; index += 1) foreignRepository(path.join(full, `models--foreign--llm-${index}`));
  try {
    const without = await times(home, empty);
    const withForeign = await times(home, full);
    console.log(`find, ${FOREIGN} foreign repositories, ${CALLS} calls each:`);
    for (const route of Object.keys(without)) {
      const more = median(withForeign[route]!) - median(without[route]!);
      console.log(
        `  ${route}: ${spread(withForeign[route]!)} ms, ${more < 0 ? '' : '+'}${more.toFixed(2)} ms (at most 1)`,
      );
    }
  } finally {
    rmSync(home, { recursive: true });
  }
}

function foreignRepository(folder: string): void {
  const snapshot = path.join(folder, 'snapshots', 'a'.repeat(40));
  mkdirSync(snapshot, { recursive: true });
  mkdirSync(path.join(folder, 'refs'));
  writeFileSync(path.join(folder, 'refs', 'main'), 'a'.repeat(40));
  writeFileSync(path.join(snapshot, 'config.json'), '{"model_type":"llama"}');
  for (let part = 1; part < 9; part += 1) writeFileSync(path.join(snapshot, `model-0000${part}-of-8.safetensors`), 'x');
}

async function times(home: string, hub: string): Promise<Record<string, number[]>> {
  const gateway = await launchGateway({ home, environment: { HF_HUB_CACHE: hub } });
  try {
    const routes = ['/v1/models/whisper-base', '/v1/models/none-such', '/health'];
    const taken: Record<string, number[]> = {};
    for (const route of routes) taken[route] = await timesOf(gateway, route);
    return taken;
  } finally {
    await gateway.stop();
  }
}

async function timesOf({ url }: Gateway, route: string): Promise<number[]> {
  const taken: number[] = [];
  for (let call = 0; call < CALLS; call += 1) {
    const begin = performance.now();
    await (await fetch(url + route)).arrayBuffer();
    taken.push(performance.now() - begin);
  }
  return taken;
}
