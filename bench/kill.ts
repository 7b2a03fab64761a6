import { existsSync } from 'node:fs';
import path from 'node:path';
import { dist } from '../packaging/places.ts';
import { executableName, hostTarget } from '../packaging/targets.ts';
import { killedApp } from '../test/setup/killed-app.ts';

const TIMES = 50;
/** The latest kill in milliseconds. By then the model is loaded and a transcription runs. */
const LATEST_MS = 5000;

/** Kills an app at random moments and measures how long its sidecar and the worker survive it. Needs `npm run build`. */
export async function lifeAfterApp(): Promise<void> {
  const binary = path.join(dist, executableName(hostTarget()));
  if (!existsSync(binary)) throw new Error('there is no executable in dist: run `npm run build`');
  for (const app of ['spawn-app', 'launcher-app'] as const) {
    const seconds: number[] = [];
    let left = 0;
    for (let time = 0; time < TIMES; time += 1) {
      const milliseconds = Math.random() * LATEST_MS;
      const aftermath = await killedApp({ app, milliseconds, binary, model: 'whisper-base' });
      seconds.push(aftermath.seconds);
      left += aftermath.left.length;
    }
    seconds.sort((a, b) => a - b);
    const [median, longest] = [seconds[TIMES / 2]!, seconds.at(-1)!].map((value) => value.toFixed(2));
    console.log(`${app}: killed ${TIMES} times, gone after ${median} s (median), ${longest} s (longest), ${left} left`);
  }
}
