import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor/section.ts';
import { call, post } from '../setup/api.ts';
import { startGateway } from '../setup/gateway.ts';
import { temporaryHome } from '../setup/home.ts';
import { runCli } from '../setup/run-cli.ts';

/** A folder with a driver library that reports a GPU that cannot compute. */
let driver: string;
beforeAll(async () => {
  driver = mkdtempSync(path.join(os.tmpdir(), 'asrpro-driver-'));
  const source = path.join(import.meta.dirname, 'fake_driver.c');
  await execa('cc', ['-shared', '-fPIC', '-o', path.join(driver, 'libcuda.so.1'), source]);
});
afterAll(() => rmSync(driver, { recursive: true }));

const homeWithCore = (): string => temporaryHome({ installed: true, coreOnly: true });

async function doctor(home: string, environment: NodeJS.ProcessEnv) {
  const { code, out, err } = await runCli(home, ['doctor', '--json'], { PATH: process.env.PATH, ...environment });
  return { code, err, report: JSON.parse(out) as Record<string, Finding[]> };
}

test('without a GPU doctor prints one line for each device with the reason, and finds no other problem', async () => {
  const { code, report, err } = await doctor(homeWithCore(), {});
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const [cpu, cuda, mps] = report.devices!;
  expect(cpu).toMatchObject({ name: 'cpu', state: 'ok' });
  expect(cpu!.detail).toMatch(
    /faster-whisper uses it \(.*int8.*\); onnx-asr uses it .*; nemo no \(.*asrpro setup nemo/,
  );
  expect(cuda).toEqual({ name: 'cuda:0', state: 'absent', detail: 'NVIDIA GPU: No NVIDIA driver was found.' });
  expect(mps).toMatchObject({ name: 'mps', state: 'absent', detail: expect.stringContaining('Apple silicon') });
  expect(report.engines).toMatchObject([
    { name: 'core', state: 'ok', detail: expect.stringContaining('faster-whisper 1') },
    { name: 'nemo', state: 'absent', detail: expect.stringMatching(/asrpro setup nemo.* It takes 2,\d+ MB/) },
    { name: 'cluster', state: 'absent', detail: expect.stringContaining('asrpro setup cluster') },
  ]);
  expect(report.models!.map(({ name, state }) => [name, state])).toContainEqual(['whisper-base', 'ok']);
  expect(report.disk!.map(({ state }) => state)).toEqual(['ok', 'ok', 'ok']);
});

test('on a bare machine doctor says what to install, as JSON and as text, and ends with exit code 4', async () => {
  const home = temporaryHome();
  const { code, report } = await doctor(home, {});
  expect(code).toBe(4);
  expect(report.engines![0]).toMatchObject({ state: 'broken', detail: expect.stringContaining('asrpro setup core') });
  expect(report.models).toMatchObject([{ name: 'whisper-base', state: 'broken' }]);
  const text = await runCli(home, ['doctor'], { PATH: process.env.PATH });
  expect(text.out).toMatch(
    /^Python\n {2}ok 3\.\d+\.\d+ .*\nEngines\n {2}no core .*\n {2}- {2}nemo .*\n {2}- {2}cluster .*\nDevices\n {2}ok cpu /,
  );
  expect(text.err).toContain('asrpro setup core');
});

test('a GPU that cannot compute is reported as unusable with the reason, and the CPU is used', async () => {
  const home = homeWithCore();
  const environment = { PATH: process.env.PATH, LD_LIBRARY_PATH: driver };
  const { report } = await doctor(home, environment);
  expect(report.devices![0]).toMatchObject({ name: 'cpu', state: 'ok' });
  expect(report.devices![1]).toMatchObject({ name: 'cuda:0', state: 'absent' });
  expect(report.devices![1]!.detail).toMatch(/^Fake GPU, 8,590 MB: .*CTranslate2 cannot use it: .*CUDA/);

  const { url } = await startGateway({ home, environment });
  const [core] = (await call(url, '/v1/engines')).json.engines;
  expect(core).toMatchObject({ installed: true, reason: expect.stringContaining('POST /v1/engines/core/install') });
  const { json } = await call(url, '/v1/devices');
  expect(json.devices[1]).toMatchObject({ id: 'cuda:0', kind: 'cuda', name: 'Fake GPU', usable: false });
  expect(json.devices[1].engines['faster-whisper'].reason).toContain('CUDA');
  expect(json.devices[0].engines['faster-whisper']).toMatchObject({ usable: true, reason: null });
  expect(json.selected).toMatchObject({ 'faster-whisper': 'cpu', 'onnx-asr': 'cpu' });
  expect((await call(url, '/v1/devices?refresh=maybe')).json.error).toMatchObject({ param: 'refresh' });
  const loaded = await post(url, '/v1/settings/model', { model_id: 'whisper-tiny.en' });
  expect(loaded.json, loaded.text).toMatchObject({ status: 'success', device: 'cpu' });
});
