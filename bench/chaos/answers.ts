import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { post } from '../../test/setup/api.ts';
import { createHome } from '../../test/setup/create-home.ts';
import { sharedHome } from '../../test/setup/shared-home.ts';
import { health, jfk, longFile, outcome, type Row, secondsUntil, send, TINY, withGateway } from './stage.ts';

/** Switches to a model with damaged weights: the old model must answer again, and the error must say so. */
export async function brokenTarget(): Promise<Row[]> {
  const home = createHome(true);
  const broken = path.join(home, 'broken');
  cpSync(path.join(sharedHome, 'models', 'whisper-base'), broken, { recursive: true });
  const weights = path.join(broken, 'model.bin');
  writeFileSync(weights, readFileSync(weights).subarray(0, 5_000_000));
  const custom = JSON.stringify([{ id: 'broken', path: broken }]);
  return await withGateway(
    async (gateway) => {
      const failed = await post(gateway.url, '/v1/settings/model', { model_id: 'broken' });
      const message = String(failed.json.error?.message);
      const after = await outcome(gateway.url, TINY);
      return [
        {
          what: 'switch to a model with damaged weights',
          found: `${failed.status} ${failed.json.error?.code}: ${message} The next request: ${after}`,
          goal: 'the old model answers again, the error says so',
          held: message.includes(`'${TINY}' is loaded again`) && after === 'right',
        },
      ];
    },
    { home, args: ['--model', TINY], environment: { ASRPRO_MODELS_CUSTOM: custom } },
  );
}

/** Times `/health` while the queue is full and every core decodes. */
export async function healthUnderLoad(calls: number): Promise<Row[]> {
  return await withGateway(
    async (gateway) => {
      const leave = new AbortController();
      const busy = Array.from({ length: 12 }, () => send(gateway.url, jfk, leave.signal));
      await secondsUntil(async () => (await health(gateway.url)).queue.waiting >= 4, 20);
      const times: number[] = [];
      for (let count = 0; count < calls; count += 1) {
        const startedAt = performance.now();
        await health(gateway.url);
        times.push(performance.now() - startedAt);
      }
      leave.abort();
      await Promise.all(busy);
      times.sort((a, b) => a - b);
      const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(share * times.length))]!;
      return [
        {
          what: `${calls} × \`/health\` with a full queue and busy cores`,
          found: `median ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, worst ${at(1).toFixed(1)} ms`,
          goal: 'p99 under 20 ms',
          held: at(0.99) < 20,
        },
      ];
    },
    { args: ['--model', 'whisper-base'], environment: { ASRPRO_SERVER_MAX_QUEUE: '8' } },
  );
}

/** A client disconnects in the middle of a file of twelve minutes. */
export async function disconnect(): Promise<Row[]> {
  return await withGateway(
    async (gateway) => {
      const leave = new AbortController();
      const pending = send(gateway.url, longFile, leave.signal);
      await secondsUntil(async () => (await health(gateway.url)).queue.running === 1, 60);
      await secondsUntil(() => false, 3);
      leave.abort();
      const seconds = await secondsUntil(async () => (await health(gateway.url)).queue.running === 0, 30);
      await pending;
      return [
        {
          what: 'a client disconnects during a 12-minute file',
          found: `worker idle after ${seconds.toFixed(2)} s`,
          goal: 'idle within 3 s',
          held: seconds <= 3,
        },
      ];
    },
    { args: ['--model', 'whisper-base'] },
  );
}
