import { fork } from 'node:child_process';
import { once } from 'node:events';
import { openAsBlob } from 'node:fs';
import { createServer } from 'node:net';
import { expect, test, vi } from 'vitest';
import { call, post, transcribe } from '../setup/api.ts';
import { audio, mainProgram } from '../setup/checkout.ts';
import { startGateway } from '../setup/gateway.ts';
import { temporaryHome } from '../setup/home.ts';
import { runCli } from '../setup/run-cli.ts';

const jfk = audio('english/jfk.flac');
const mock = { mock: true };
const whenRunning = (url: string) =>
  vi.waitFor(async () => expect((await call(url, '/health')).json.queue.running).toBe(1), { timeout: 20_000 });

test('serve prints one ready line with the address that it answers on', async () => {
  const { ready, url, output, pid, process: child } = await startGateway(mock);
  expect(ready).toEqual({
    event: 'ready',
    url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    host: '127.0.0.1',
    port: Number(new URL(url).port),
    pid: child.pid,
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    instance: expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
  expect((await call(url, '/health')).json.status).toBe('healthy');
  expect(pid).toBe(child.pid);
  expect(output.out.trimEnd().split('\n')).toHaveLength(1);
});

test.each(['SIGTERM', 'SIGINT'] as const)('%s lets the running request finish and exits with 0', async (signal) => {
  const gateway = await startGateway({ ...mock, args: ['--mock-pace', '0.05'] });
  // The gateway has stored the selected model, so all parts that a signal may reach are active.
  expect((await post(gateway.url, '/v1/settings/model', { model_id: 'mock-slow' })).status).toBe(200);
  const pending = transcribe(gateway.url, jfk, { model: 'mock-slow' });
  await whenRunning(gateway.url);
  const ended = gateway.stop(signal);
  expect((await pending).status).toBe(200);
  expect(await ended).toEqual({ code: 0, signal: null });
  expect(gateway.output.out.trimEnd().split('\n')).toHaveLength(1);
});

test('a second signal ends the gateway at once', async () => {
  const gateway = await startGateway(mock);
  const pending = transcribe(gateway.url, jfk, { model: 'mock-hang' }).catch((error: Error) => error);
  await whenRunning(gateway.url);
  gateway.process.kill('SIGTERM');
  await vi.waitFor(() => expect(gateway.output.err).toContain('stopping'), { timeout: 10_000 });
  const { code } = await gateway.stop('SIGTERM');
  expect(code).toBe(1);
  expect(await pending).toBeInstanceOf(Error);
});

test('--watch-stdin: the end of stdin stops the gateway', async () => {
  const gateway = await startGateway({ ...mock, args: ['--watch-stdin'] });
  const ended = once(gateway.process, 'exit');
  gateway.process.stdin!.end();
  expect((await ended)[0]).toBe(0);
});

test('--watch-stdin: SIGTERM stops the gateway although the launcher keeps stdin open', async () => {
  const gateway = await startGateway({ ...mock, args: ['--watch-stdin'] });
  expect(await gateway.stop('SIGTERM')).toEqual({ code: 0, signal: null });
});

test('--watch-stdin: the gateway ends with a launcher that dies while the last request finishes', async () => {
  const launcher = `
    const { spawn } = require('node:child_process');
    const args = [${JSON.stringify(mainProgram)}, 'serve', ...process.argv.slice(1)];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'inherit', 'inherit'] });
    process.stdin.on('end', () => child.stdin.end()).resume();
    setInterval(() => undefined, 60_000);`;
  const command = [process.execPath, '-e', launcher, '--'];
  const gateway = await startGateway({ ...mock, command, args: ['--watch-stdin'] });
  const body = new FormData();
  body.append('file', await openAsBlob(jfk), 'jfk.flac');
  body.append('model', 'mock-slow');
  body.append('stream', 'true');
  const answer = await fetch(`${gateway.url}/v1/audio/transcriptions`, { method: 'POST', body });
  const events = answer.body!.getReader();
  await events.read();
  gateway.process.stdin!.end();
  await vi.waitFor(() => expect(gateway.output.err).toContain('stopping'), { timeout: 10_000 });
  // The mock sends one segment a second. By now the gateway has checked once that its launcher lives.
  for (let segment = 0; segment < 2; segment += 1) await events.read();
  gateway.process.kill('SIGKILL');
  await vi.waitFor(() => expect(gateway.processes()).toEqual([]), { timeout: 6_000 });
  await events.cancel().catch(() => undefined);
});

test('without --watch-stdin the gateway keeps running after the end of stdin', async () => {
  const { url, process: child } = await startGateway(mock);
  child.stdin!.end();
  expect((await call(url, '/health')).status).toBe(200);
});

test('a launcher with an IPC channel stops the gateway by disconnecting', async () => {
  const child = fork(mainProgram, ['serve', '--mock', '--port', '0'], {
    env: { ...process.env, ASRPRO_HOME: temporaryHome() },
    stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
  });
  await once(child.stdout!, 'data');
  const ended = once(child, 'exit');
  child.disconnect();
  expect((await ended)[0]).toBe(0);
});

test('an address in use gives one JSON line and exit code 3', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const { code, out, err } = await runCli(temporaryHome(), ['serve', '--mock', '--port', String(port)]);
  other.close();
  expect(code).toBe(3);
  expect(JSON.parse(out)).toMatchObject({ event: 'error', code: 'address_in_use' });
  expect(err).toContain(String(port));
});

test('--model loads the model before the ready line, and --model last loads the same model again', async () => {
  const home = temporaryHome();
  const first = await startGateway({ ...mock, home, args: ['--model', 'mock-slow'] });
  expect((await call(first.url, '/health')).json.current_model).toBe('mock-slow');
  await first.stop();
  const second = await startGateway({ ...mock, home, args: ['--model', 'last'] });
  expect((await call(second.url, '/health')).json.current_model).toBe('mock-slow');
});

test('an unknown model gives one JSON line and exit code 5', async () => {
  const { code, out } = await runCli(temporaryHome(), ['serve', '--mock', '--port', '0', '--model', 'none-such']);
  expect(code).toBe(5);
  expect(JSON.parse(out)).toMatchObject({ event: 'error', code: 'model_not_found' });
});
