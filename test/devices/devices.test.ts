import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { createDevices, type Probe } from '../../src/devices/devices.ts';
import { keptOutcomes } from '../../src/devices/kept-outcomes.ts';
import type { Engines } from '../../src/engines/types.ts';
import { createLog } from '../../src/log.ts';

/** A machine whose NVIDIA driver reports two GPUs: a stand-in answers like the probe script. */
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-devices-'));
  writeFileSync(path.join(folder, 'libcuda.so.1'), '');
  const gpus = [0, 1].map((index) => ({ index, name: `GPU ${index}`, memory_bytes: 8e9 }));
  const answer = JSON.stringify({ devices: gpus, driver: '12080 580.1', reason: null });
  writeFileSync(path.join(folder, 'driver'), `#!/bin/sh\necho '${answer}'\n`, { mode: 0o755 });
});
afterEach(() => rmSync(folder, { recursive: true }));

/** @param broken devices whose inference fails, by `engine device`; @param prefer `device.prefer`. */
function machine({ broken = [] as string[], prefer = 'auto', gpu = true, mac = false } = {}) {
  const asked: string[] = [];
  const installed = new Set(['core', 'nemo']);
  const probe: Probe = async (engine, [device]) => {
    asked.push(`${engine} ${device}`);
    if (broken.includes(`${engine} ${device}`)) throw new Error('The worker process was ended by SIGSEGV.');
    return [{ id: device!, usable: true, compute_types: ['float32'], reason: null }];
  };
  const engines = {
    status: async (id: string) => ({
      installed: installed.has(id),
      packages: installed.has(id) ? { [id]: '1' } : {},
      reason: installed.has(id) ? null : `Install ${id}.`,
    }),
    interpreter: async () => ({ python: path.join(folder, 'driver'), env: {} }),
  } as unknown as Engines;
  const devices = createDevices({
    config: configSchema.parse({ device: { prefer } }),
    log: createLog({ level: 'silent', format: 'json' }),
    ...{ engines, probe, runtimeRoot: folder },
    kept: keptOutcomes(path.join(folder, 'devices.json')),
    environment: {
      PATH: process.env.PATH,
      ...(gpu ? { LD_LIBRARY_PATH: folder } : {}),
      ...(mac ? { ASRPRO_TEST_MLX: folder } : {}),
    },
  });
  return { devices, asked, installed, broken };
}

test('auto takes for each engine the first GPU that it can use', async () => {
  const { devices } = machine({ broken: ['onnx-asr cuda:0', 'nemo cuda:0', 'nemo cuda:1'] });
  const { selected } = await devices.report();
  expect(selected).toEqual({ 'faster-whisper': 'cuda:0', 'onnx-asr': 'cuda:1', nemo: 'cpu' });
  expect(await devices.select('nemo')).toEqual({ device: 'cpu', computeType: 'auto' });
});

test('a driver that crashes the probing worker is reported as the reason, and the other devices stay usable', async () => {
  const { devices } = machine({ broken: ['faster-whisper cuda:0', 'onnx-asr cuda:0', 'nemo cuda:0'] });
  const report = await devices.report();
  expect(report.devices.map(({ id, usable }) => [id, usable])).toEqual([
    ['cpu', true],
    ['cuda:0', false],
    ['cuda:1', true],
    ['mps', false],
  ]);
  expect(report.devices[1]!.reason).toContain('SIGSEGV');
  expect(report.devices[2]!.reason).toBeNull();
});

test.each([
  ['cpu', 'cpu'],
  ['cuda', 'cuda:0'],
  ['cuda:1', 'cuda:1'],
  ['cuda:7', 'cpu'],
])('device.prefer %s gives %s', async (prefer, device) => {
  expect(await machine({ prefer }).devices.select('faster-whisper')).toMatchObject({ device });
});

test('a choice for one engine probes only that engine, up to its first usable GPU, and only once', async () => {
  const { devices, asked } = machine({ broken: ['faster-whisper cuda:0'] });
  await devices.select('faster-whisper');
  await devices.select('faster-whisper');
  expect(asked).toEqual(['faster-whisper cuda:0', 'faster-whisper cuda:1']);
  await devices.select('nemo');
  expect(asked.slice(2)).toEqual(['nemo cuda:0']);
});

test('without a driver the CPU is chosen without a probe', async () => {
  const { devices, asked } = machine({ gpu: false });
  expect(await devices.select('onnx-asr')).toMatchObject({ device: 'cpu' });
  expect(asked).toEqual([]);
});

test('results of probes are kept until a refresh or the installation of an engine', async () => {
  const { devices, asked, installed, broken } = machine({ gpu: false });
  installed.delete('nemo');
  const engines = async () => (await devices.report()).devices[0]!.engines;
  expect((await engines()).nemo).toEqual({ usable: false, computeTypes: [], reason: 'Install nemo.' });
  await engines();
  expect(asked).toEqual(['faster-whisper cpu', 'onnx-asr cpu']);
  installed.add('nemo');
  expect((await engines()).nemo).toMatchObject({ usable: true });
  expect(asked).toEqual(['faster-whisper cpu', 'onnx-asr cpu', 'nemo cpu']);
  broken.push('onnx-asr cpu');
  expect((await engines())['onnx-asr']).toMatchObject({ usable: true });
  const renewed = await devices.report({ refresh: true });
  expect(renewed.devices[0]!.engines['onnx-asr']).toMatchObject({ usable: false });
});

test('a second start does not probe a working GPU again until driver or packages change, or on a refresh', async () => {
  await machine({ broken: ['nemo cuda:0'] }).devices.select('faster-whisper');
  await machine({ broken: ['nemo cuda:0'] }).devices.select('nemo');
  const second = machine({ broken: ['nemo cuda:0'] });
  expect(await second.devices.select('faster-whisper')).toMatchObject({ device: 'cuda:0' });
  expect(await second.devices.select('nemo')).toMatchObject({ device: 'cuda:1' });
  expect(second.asked, 'a failure is tried again').toEqual(['nemo cuda:0']);
  await second.devices.report({ refresh: true });
  expect(second.asked).toContain('faster-whisper cuda:0');

  const gpu = { index: 0, name: 'GPU 0', memory_bytes: 8e9 };
  const updated = JSON.stringify({ devices: [gpu], driver: '13000 590.2', reason: null });
  writeFileSync(path.join(folder, 'driver'), `#!/bin/sh\necho '${updated}'\n`, { mode: 0o755 });
  const third = machine();
  await third.devices.select('faster-whisper');
  expect(third.asked).toEqual(['faster-whisper cuda:0']);
});

test('a damaged or unwritable file of probe results causes no failure', async () => {
  writeFileSync(path.join(folder, 'devices.json'), '{"x":');
  expect(await machine().devices.select('faster-whisper')).toMatchObject({ device: 'cuda:0' });
  rmSync(path.join(folder, 'devices.json'));
  mkdirSync(path.join(folder, 'devices.json'));
  expect(await machine().devices.select('faster-whisper')).toMatchObject({ device: 'cuda:0' });
});

test('a Mac uses its GPU for the engines that support it, and the CPU with the reason where the GPU fails', async () => {
  const fails = machine({ gpu: false, mac: true, broken: ['faster-whisper mps'] });
  expect(await fails.devices.select('faster-whisper')).toMatchObject({ device: 'cpu' });
  const mps = (await fails.devices.report()).devices.find(({ id }) => id === 'mps')!;
  expect(mps.engines['faster-whisper']).toMatchObject({ usable: false, reason: expect.stringContaining('SIGSEGV') });
  const works = machine({ gpu: false, mac: true });
  expect(await works.devices.select('faster-whisper')).toMatchObject({ device: 'mps' });
  expect(await works.devices.select('onnx-asr')).toMatchObject({ device: 'cpu' });
  expect(works.asked).toEqual(['faster-whisper mps']);
  expect(await machine({ gpu: false, mac: true, prefer: 'cpu' }).devices.select('faster-whisper')).toMatchObject({
    device: 'cpu',
  });
});
