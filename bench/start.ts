import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { execa } from 'execa';
import { dist } from '../packaging/places.ts';
import { executableName, hostTarget } from '../packaging/targets.ts';
import { createHome } from '../test/setup/create-home.ts';
import { sharedHome } from '../test/setup/shared-home.ts';
import { memory } from './processes.ts';
import { median } from './statistics.ts';

const TIMES = 15;
const IDLE_MS = 2000;
/** The goals. */
const LIMITS = { ratio: 0.3, megabytes: 45 };

/**
 * The time from the spawn of the executable to its ready line, in turns with `import faster_whisper` in its environment,
 * and the private memory of a gateway without a model. The first start, which unpacks files, is reported separately. Needs
 * `npm run build`.
 */
export async function start(): Promise<void> {
  const binary = path.join(dist, executableName(hostTarget()));
  const [python] = globSync('engines/core-*/bin/python', { cwd: sharedHome }).map((file) =>
    path.join(sharedHome, file),
  );
  if (!existsSync(binary)) throw new Error('there is no executable in dist: run `npm run build`');
  const home = createHome(true);
  try {
    const first = await startOnce(binary, home);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let time = 0; time < TIMES; time += 1) {
      ours.push(await startOnce(binary, home));
      const before = performance.now();
      await execa(python!, ['-c', 'import faster_whisper']);
      theirs.push(performance.now() - before);
    }
    const [us, them] = [median(ours), median(theirs)];
    console.log(
      `ready after ${us.toFixed(0)} ms, import faster_whisper ${them.toFixed(0)} ms: ratio ${(us / them).toFixed(2)}` +
        ` (at most ${LIMITS.ratio}; medians of ${TIMES}); the first start ${first.toFixed(0)} ms`,
    );
    await startOnce(binary, home, async (pid, url) => {
      await fetch(`${url}/health`);
      await wait(IDLE_MS);
      const { dirty, private: all } = memory(pid);
      console.log(
        `idle without a model: ${dirty.toFixed(1)} MB private (at most ${LIMITS.megabytes}), and ` +
          `${(all - dirty).toFixed(1)} MB of pages as they are on disk, which the system drops when it needs room`,
      );
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** Starts the gateway, calls `use`, and stops it. Returns the milliseconds from the spawn to the ready line. */
async function startOnce(
  binary: string,
  home: string,
  use?: (pid: number, url: string) => Promise<void>,
): Promise<number> {
  const before = performance.now();
  const child = spawn(binary, ['serve', '--port', '0', '--watch-stdin'], {
    env: { ...process.env, ASRPRO_HOME: home },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit');
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const milliseconds = performance.now() - before;
  const { pid, url } = JSON.parse(line);
  await use?.(pid, url);
  child.stdin.end();
  await ended;
  return milliseconds;
}
