import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { mainProgram } from '../setup/checkout.ts';
import { startGateway } from '../setup/gateway.ts';
import { mockGateway } from './mock-gateway.ts';
import { ask, expectError, type Part } from './multipart.ts';

const sound = (bytes: number): Part => ({ name: 'file', value: Buffer.alloc(bytes, 7), fileName: 'a.wav' });

test('a full disk is reported at once and logged, and the next upload works', async () => {
  const script = 'mkdir -p "$ASRPRO_HOME/run" && mount -t tmpfs -o size=4m none "$ASRPRO_HOME/run" && exec "$0" "$@"';
  const flags = ['--mount', ...(process.getuid?.() === 0 ? [] : ['--map-root-user'])];
  const program = ['sh', '-c', script, process.execPath, mainProgram, 'serve'];
  const gateway = await startGateway({ mock: true, command: ['unshare', ...flags, ...program] });
  for (const bytes of [5_000_000, 20_000_000]) {
    const answer = await ask(gateway.url, ['model=mock-echo'], sound(bytes));
    expectError(answer, 500, null, 'disk_full');
  }
  expect(gateway.output.err).toContain('ENOSPC');
  expect((await ask(gateway.url, ['model=mock-echo'])).status).toBe(200);
});

test('a removed spool folder is created again', async () => {
  await using gateway = await mockGateway();
  rmSync(gateway.services.run.spool, { recursive: true });
  expect((await ask(gateway.url, ['model=mock-echo'])).status).toBe(200);
});

test('a folder that is not writable is a 500 at once, with the reason in the answer and the log', async () => {
  const gateway = await startGateway({ mock: true });
  const [run] = process.getBuiltinModule('node:fs').readdirSync(path.join(gateway.home, 'run'));
  const spool = path.join(gateway.home, 'run', run!, 'spool');
  rmSync(spool, { recursive: true });
  writeFileSync(spool, '');
  for (const bytes of [10, 3_000_000]) {
    const answer = await ask(gateway.url, ['model=mock-echo'], sound(bytes));
    expectError(answer, 500, null, 'spool_failed');
    expect(answer.json.error.message).toContain('EEXIST');
  }
  expect(gateway.output.err).toContain(spool);
  rmSync(spool);
  expect((await ask(gateway.url, ['model=mock-echo'])).status).toBe(200);
});
