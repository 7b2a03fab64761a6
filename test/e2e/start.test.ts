import { execa } from 'execa';
import { expect, test, vi } from 'vitest';
import { wordsOf } from '../setup/api.ts';
import { checkout, jfkWords } from '../setup/checkout.ts';
import { startGateway } from '../setup/gateway.ts';
import { temporaryHome } from '../setup/home.ts';

const npmStart = ['npm', '--prefix', checkout, 'start', '--silent', '--'];

test('npm start prints one JSON line and a curl line that works when pasted, and a signal to npm stops the gateway', async () => {
  const gateway = await startGateway({ command: npmStart });
  const { out, err } = gateway.output;
  expect(out.trim().split('\n')).toHaveLength(1);
  expect(gateway.ready).toMatchObject({ event: 'ready', host: '127.0.0.1', version: expect.any(String) });
  expect(err).not.toMatch(/install|download/i);
  const curl = await vi.waitFor(() => {
    const line = gateway.output.err.split('\n').find((one) => one.trim().startsWith('curl '));
    expect(line, 'the curl line').toBeDefined();
    return line!.trim();
  });
  const { stdout } = await execa({ shell: true, cwd: checkout })`${[curl]}`;
  expect(wordsOf(stdout)).toBe(jfkWords);

  await gateway.stop('SIGTERM');
  await vi.waitFor(() => expect(gateway.processes()).toEqual([]), { timeout: 10_000 });
  expect(gateway.output.err).toContain('stopping');
});

test('two instances run side by side', async () => {
  const home = temporaryHome({ installed: true });
  const [one, two] = await Promise.all([startGateway({ home, mock: true }), startGateway({ home, mock: true })]);
  expect(one.url).not.toBe(two.url);
  expect(one.ready.instance).not.toBe(two.ready.instance);
  await one.stop();
  expect((await fetch(`${two.url}/health`)).status).toBe(200);
  await two.stop();
});
