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

const apps = path.join(checkout, 'test', 'fixtures', 'apps');
/** A busy machine takes longer than the promised two seconds. A process that hangs is still there after this time. */
const LIMIT_MS = 15_000;

export interface Aftermath {
  /** Processes that were left and had to be killed. */
  left: string[];
  /** Seconds after which no process was left. */
  seconds: number;
}

/** Starts an app that launches a sidecar and sends it a file, and kills the app after `milliseconds`. */
export async function killedApp({
  app = 'launcher-app',
  milliseconds,
  ...options
}: LaunchOptions & { app?: 'launcher-app' | 'spawn-app'; milliseconds: number }): Promise<Aftermath> {
  const home = createHome(!options.mock);
  const family = randomUUID();
  const child = spawn(
    process.execPath,
    [path.join(apps, `${app}.ts`), JSON.stringify({ ...options, home, audio: audio('english/jfk.flac') })],
    {
      env: { ...process.env, [familyVariable]: family },
      stdio: 'ignore',
    },
  );
  const ended = once(child, 'exit');
  await wait(milliseconds);
  child.kill('SIGKILL');
  await ended;
  const killedAt = performance.now();
  let left = familyProcesses(family);
  while (left.length > 0 && performance.now() - killedAt < LIMIT_MS) {
    await wait(20);
    left = familyProcesses(family);
  }
  const seconds = (performance.now() - killedAt) / 1000;
  for (const process_ of left) process.kill(Number(process_.split(' ')[0]), 'SIGKILL');
  rmSync(home, { recursive: true, force: true });
  return { left, seconds };
}
