import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import { readInstalled } from '../../src/models/store.ts';
import { mainProgram } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { runCli } from '../setup/run-cli.ts';
import { startFaultHub } from './fault-hub.ts';
import { modelFiles } from './model-files.ts';

const id = 'whisper-tiny.en';
const files = modelFiles(id);

/** Sizes of the partial files, by the final name of the file. */
function keptBytes(folder: string): Map<string, number> {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return new Map(
    names
      .filter((name) => name.endsWith('.partial'))
      .map((name) => [name.replace(/\.[0-9a-f]{12}\.partial$/, ''), statSync(path.join(folder, name)).size]),
  );
}

test('a pull that is killed at eight moments never fetches a byte again that was on disk', {
  timeout: 300_000,
}, async () => {
  await using hub = await startFaultHub(files);
  hub.bytesPerSecond = 16_000_000;
  const home = temporaryHome();
  const folder = path.join(home, 'models', id);
  const environment = { ...process.env, ASRPRO_HOME: home, ASRPRO_DOWNLOAD_ENDPOINT: hub.url };
  const total = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  let moments = 0;
  for (; moments < 8 && readInstalled(path.join(home, 'models'), id) === null; moments += 1) {
    const kept = keptBytes(folder);
    hub.asked.length = 0;
    const child = spawn(process.execPath, [mainProgram, 'pull', id, '--quiet'], { env: environment, stdio: 'ignore' });
    const ended = once(child, 'exit');
    // The process is killed after a number of bytes that differs in every round.
    const limit = 300_000 + ((moments * 3) % 8) * 500_000;
    const sent = () => hub.asked.reduce((sum, asked) => sum + asked.sent, 0);
    await vi.waitFor(() => expect(sent() > limit || child.exitCode !== null).toBe(true), {
      timeout: 60_000,
      interval: 5,
    });
    child.kill('SIGKILL');
    await ended;
    for (const { file, from } of hub.asked) expect(from, `${file} after ${moments} deaths`).toBe(kept.get(file) ?? 0);
  }
  expect(moments).toBe(8);
  expect([...keptBytes(folder).values()].reduce((sum, size) => sum + size, 0)).toBeGreaterThan(10_000_000);
  hub.bytesPerSecond = null;
  const last = await runCli(home, ['pull', id, '--json'], { ASRPRO_DOWNLOAD_ENDPOINT: hub.url });
  expect(last.code, last.err).toBe(0);
  const { files: installed } = readInstalled(path.join(home, 'models'), id)!;
  expect(installed.reduce((sum, { size }) => sum + size, 0)).toBe(total);
});

test('a pull goes through the proxy of the environment and prints its progress in plain lines', async () => {
  await using hub = await startFaultHub(files);
  const tunnels: string[] = [];
  const proxy = createServer().on('connect', (request, socket) => {
    tunnels.push(request.url!);
    const to = connect(Number(new URL(hub.url).port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(to).pipe(socket);
    });
    to.on('error', () => socket.destroy());
    socket.on('error', () => to.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const home = temporaryHome();
  const pulled = await runCli(home, ['pull', id], {
    HF_ENDPOINT: 'http://hub.invalid',
    http_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
  });
  proxy.close();
  expect(pulled.code, pulled.err).toBe(0);
  expect(tunnels.length).toBeGreaterThan(0);
  expect(new Set(tunnels)).toEqual(new Set(['hub.invalid:80']));
  expect(pulled.err).toMatch(/model\.bin/);
  expect(pulled.err).toMatch(/MB\/s/);
  expect(pulled.out).toBe(`The model ${id} is installed.`);
  const again = await runCli(home, ['pull', id], { HF_ENDPOINT: 'http://hub.invalid' });
  expect(again.code).toBe(0);
});

test('a disk with too little space is an error before the first byte is fetched', async () => {
  await using hub = await startFaultHub(files);
  const home = temporaryHome();
  // The mount is in the namespace of this process and ends with it.
  const flags = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user'];
  const script = `mkdir -p "$ASRPRO_HOME/models" && mount -t tmpfs -o size=100m none "$ASRPRO_HOME/models" && exec "$0" "$@"`;
  const command = ['sh', '-c', script, process.execPath, mainProgram, 'pull', id];
  const child = spawn('unshare', [...flags, ...command], {
    env: { ...process.env, ASRPRO_HOME: home, ASRPRO_DOWNLOAD_ENDPOINT: hub.url },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const err = Buffer.concat(await child.stderr.toArray()).toString();
  const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
  expect(code, err).toBe(1);
  expect(err).toMatch(/needs \d+ MB of disk space, and \d+ MB are free/);
  expect(hub.asked).toEqual([]);
});
