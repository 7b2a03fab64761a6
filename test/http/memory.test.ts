import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { call } from '../setup/api.ts';
import { startGateway } from '../setup/gateway.ts';
import { seeded } from '../setup/seeded.ts';
import { badUpload, sendRaw } from './bad-uploads.ts';
import { ask } from './multipart.ts';

const UPLOADS = 2_000;

/** Private memory of a process in MB. */
function privateMegabytes(pid: number): number {
  const lines = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm);
  return [...lines].reduce((sum, [, kilobytes]) => sum + Number(kilobytes) / 1024, 0);
}

async function eightAtOnce(count: number, send: () => Promise<void>): Promise<void> {
  let left = count;
  const client = async (): Promise<void> => {
    while (left-- > 0) await send();
  };
  await Promise.all(Array.from({ length: 8 }, client));
}

test.runIf(process.platform === 'linux')(
  'two thousand bad uploads, many cut at a random byte, leave no place taken, no file and no memory',
  { timeout: 300_000 },
  async () => {
    const gateway = await startGateway({ mock: true });
    const good = async (): Promise<void> => {
      expect((await ask(gateway.url, ['model=mock-echo'])).status).toBe(200);
    };
    // These requests fill the pools and compile the code before the first measurement.
    await eightAtOnce(200, good);
    const before = privateMegabytes(gateway.pid);

    const random = seeded(15);
    const { port } = new URL(gateway.url);
    const wrong: string[] = [];
    await eightAtOnce(UPLOADS, async () => {
      const upload = badUpload(random);
      const status = await sendRaw(Number(port), upload);
      if (upload.leavesAfter === null && !(status! >= 400 && status! < 500)) wrong.push(`${upload.kind}: ${status}`);
    });
    expect(wrong).toEqual([]);

    const [run] = readdirSync(path.join(gateway.home, 'run'));
    await vi.waitFor(async () => {
      expect((await call(gateway.url, '/health')).json.queue).toMatchObject({ running: 0, waiting: 0 });
      expect(readdirSync(path.join(gateway.home, 'run', run!, 'spool'))).toEqual([]);
    }, 10_000);
    // Garbage that is not yet collected is no leak (13 MB on a busy machine), so good requests go on until it is collected.
    const settled = async (): Promise<void> => {
      await good();
      expect(privateMegabytes(gateway.pid) - before).toBeLessThan(10);
    };
    await vi.waitFor(settled, 20_000);
  },
);
