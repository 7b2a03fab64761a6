import { symlinkSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { call, post, transcribe } from '../setup/api.ts';
import { audio } from '../setup/checkout.ts';
import { temporaryHome } from '../setup/home.ts';
import { type Gateway, launchGateway } from '../setup/launch.ts';
import { likeMac } from '../setup/mac.ts';
import { toyModels } from '../setup/toy-models.ts';

async function on(environment: Record<string, string>, use: (gateway: Gateway) => Promise<void>): Promise<void> {
  const home = temporaryHome({ installed: true });
  symlinkSync(path.join(await toyModels(), 'whisper-tiny'), path.join(home, 'models', 'whisper-tiny'), 'junction');
  const gateway = await launchGateway({ home, environment, args: ['--model', 'whisper-tiny'] });
  try {
    await use(gateway);
  } finally {
    await gateway.stop();
  }
}

const appleGpu = async (gateway: Gateway) => {
  const { json } = await call(gateway.url, '/v1/devices');
  return { selected: json.selected, mps: json.devices.find(({ id }: { id: string }) => id === 'mps') };
};

test('on a Mac with Apple silicon Whisper runs on its GPU, and its memory is back after an unload', async () => {
  await on(await likeMac(), async (gateway) => {
    const { json, status, text } = await transcribe(gateway.url, audio('english/jfk.flac'), { language: 'en' });
    expect(status, text).toBe(200);
    expect(json.text).not.toBe('');
    expect((await call(gateway.url, '/health')).json).toMatchObject({ device: 'mps' });
    const loaded = (await call(gateway.url, '/v1/settings/model')).json;
    expect(loaded).toMatchObject({ model: 'whisper-tiny', status: 'loaded', device: 'mps', compute_type: 'float16' });
    const { mps, selected } = await appleGpu(gateway);
    expect(selected).toMatchObject({ 'faster-whisper': 'mps', 'onnx-asr': 'cpu' });
    expect(mps).toMatchObject({ usable: true, reason: null });
    expect(mps.engines['faster-whisper']).toMatchObject({ usable: true, reason: null });
    const unloaded = await call(gateway.url, '/v1/settings/model', { method: 'DELETE' });
    expect(unloaded.status, unloaded.text).toBe(200);
    expect(gateway.processes().filter((one) => one.includes('asrpro_worker'))).toEqual([]);
  });
}, 300_000);

test('a GPU that fails its test is not used, and the reason is told', async () => {
  await on(await likeMac({ broken: 1 }), async (gateway) => {
    const loaded = await post(gateway.url, '/v1/settings/model', { model_id: 'whisper-tiny' });
    expect(loaded.status, loaded.text).toBe(200);
    expect((await call(gateway.url, '/health')).json).toMatchObject({ device: 'cpu' });
    const { mps, selected } = await appleGpu(gateway);
    expect(selected['faster-whisper']).toBe('cpu');
    expect(mps.engines['faster-whisper'].reason).toContain('GPU Hang');
    expect(gateway.output.err).toContain('GPU Hang');
  });
}, 300_000);

test('a GPU that fails with a model alone gives way to the CPU', async () => {
  await on(await likeMac({ broken: 100 }), async (gateway) => {
    const loaded = await post(gateway.url, '/v1/settings/model', { model_id: 'whisper-tiny.en' });
    expect(loaded.status, loaded.text).toBe(200);
    expect((await call(gateway.url, '/health')).json).toMatchObject({ device: 'cpu' });
  });
}, 300_000);
