import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { LaunchOptions } from '../../src/client/index.ts';
import { audio, checkout } from './checkout.ts';
import { createHome } from './create-home.ts';
import { familyProcesses, familyVariable } from './leftovers.ts';

const app = path.join(checkout, 'test', 'fixtures', 'apps', 'launcher-app.ts');
/** In which a sidecar and its worker have to be gone, in milliseconds. */
const LIMIT_MS = 2000;

/** An app that launches a sidecar and has it transcribe is killed after a while. Returns what is left two seconds later. */
export async function killedApp({
  milliseconds,
  ...options
}: LaunchOptions & { milliseconds: number }): Promise<string[]> {
  const home = createHome(!options.mock);
  const family = randomUUID();
  const child = spawn(process.execPath, [app, JSON.stringify({ ...options, home, audio: audio('english/jfk.flac') })], {
    env: { ...process.env, [familyVariable]: family },
    stdio: 'ignore',
  });
  await wait(milliseconds);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const killedAt = performance.now();
  let left = familyProcesses(family);
  while (left.length > 0 && performance.now() - killedAt < LIMIT_MS) {
    await wait(20);
    left = familyProcesses(family);
  }
  for (const process_ of left) process.kill(Number(process_.split(' ')[0]), 'SIGKILL');
  rmSync(home, { recursive: true, force: true });
  return left;
}
