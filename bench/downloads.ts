import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import type { Download } from '../src/client/api-types.ts';
import { follow } from '../src/client/follow.ts';
import { call } from '../test/setup/api.ts';
import { launchGateway } from '../test/setup/launch.ts';
import { peak } from './processes.ts';
import { median } from './statistics.ts';

/** The second model is twice as large as the first, which shows whether memory grows with the size. */
const MODELS = ['whisper-tiny.en', 'whisper-base'];
const ROUNDS = 7;
const LOOK_MS = 25;

/**
 * A download by a running gateway (listing, sha256 of every byte, fsync, the model's marker) and curl, which writes the
 * largest file, in turns from the same local server to the same disk. Curl ends when the system has the bytes in memory,
 * so its time is also measured with the fsync that a download includes. Prints the medians, the ratios in bytes a second,
 * and the growth of the gateway's peak memory.
 */
export async function downloads(): Promise<void> {
  for (const model of MODELS) await download(model);
}

async function download(model: string): Promise<void> {
  const hub = execa(process.execPath, [path.join(import.meta.dirname, 'hub.ts'), model], { reject: false });
  const { value: hubUrl } = await hub[Symbol.asyncIterator]().next();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-bench-'));
  const gateway = await launchGateway({
    home: path.join(folder, 'home'),
    environment: { ASRPRO_DOWNLOAD_ENDPOINT: String(hubUrl) },
  });
  try {
    const before = peak(gateway.pid);
    const [ours, theirs, durable]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round <= ROUNDS; round += 1) {
      const { bytes, seconds } = await timed(() => pull(gateway.url, model));
      await call(gateway.url, `/v1/models/${model}`, { method: 'DELETE' });
      const target = path.join(folder, 'curl');
      const curl = await timed(async () => {
        const url = `${hubUrl}/a/b/resolve/r/model.bin`;
        const { stdout } = await execa('curl', ['-s', '-o', target, '-w', '%{size_download}', url]);
        return Number(stdout);
      });
      const sync = await timed(async () => {
        await execa('sync', [target]);
        return curl.bytes;
      });
      rmSync(target);
      // The first round loads the HTTP client.
      if (round === 0) continue;
      ours.push(bytes / seconds);
      theirs.push(curl.bytes / curl.seconds);
      durable.push(curl.bytes / (curl.seconds + sync.seconds));
    }
    const [us, them, both] = [median(ours), median(theirs), median(durable)];
    console.log(
      `${model}, ${ROUNDS} rounds: ${(us / 1e6).toFixed(0)} MB/s; ` +
        `curl ${(them / 1e6).toFixed(0)} MB/s, ratio ${(us / them).toFixed(2)} (at least 0.8); ` +
        `curl and fsync ${(both / 1e6).toFixed(0)} MB/s, ratio ${(us / both).toFixed(2)}; ` +
        `peak memory of the gateway ${(peak(gateway.pid) - before).toFixed(0)} MB above idle`,
    );
  } finally {
    hub.kill();
    await gateway.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a download to its end. Returns the size of the model in bytes. */
async function pull(url: string, model: string): Promise<number> {
  let bytes = 0;
  const job = follow<Download>({ url, apiKey: null }, `/v1/models/${model}/download`, { everyMs: LOOK_MS });
  for await (const { bytes_total } of job) bytes = bytes_total ?? bytes;
  return bytes;
}

async function timed(work: () => Promise<number>): Promise<{ bytes: number; seconds: number }> {
  const startedAt = performance.now();
  const bytes = await work();
  return { bytes, seconds: (performance.now() - startedAt) / 1000 };
}
