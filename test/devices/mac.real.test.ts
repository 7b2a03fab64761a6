import { expect, test } from 'vitest';
import { expectInOrder } from '../engines/contract.ts';
import { call, transcribe, wordsOf } from '../setup/api.ts';
import { audio } from '../setup/checkout.ts';
import { greedy } from '../setup/greedy.ts';
import { temporaryHome } from '../setup/home.ts';
import { type Gateway, launchGateway } from '../setup/launch.ts';
import { likeMac } from '../setup/mac.ts';

const model = 'whisper-tiny.en';
const short = audio('librispeech/test-other/1688-142285-0002.flac');

async function on(environment: Record<string, string>, use: (gateway: Gateway) => Promise<void>): Promise<void> {
  const home = temporaryHome({ installed: true, coreOnly: true });
  const gateway = await launchGateway({ home, environment: { ...greedy, ...environment }, args: ['--model', model] });
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

test('on a Mac with Apple silicon Whisper runs on the GPU with text and words, and an unload ends its process', async () => {
  await on(await likeMac(), async (gateway) => {
    const fields = { model, response_format: 'verbose_json', 'timestamp_granularities[]': 'word' };
    const { json, status, text } = await transcribe(gateway.url, short, fields);
    expect(status, text).toBe(200);
    expect(wordsOf(json.text)).toBe(wordsOf("You don't mean that you thought me so silly."));
    expect(wordsOf(json.words.map(({ word }: { word: string }) => word).join(' '))).toBe(wordsOf(json.text));
    expectInOrder(json.words, json.duration);
    expect((await call(gateway.url, '/health')).json).toMatchObject({ device: 'mps' });
    const loaded = (await call(gateway.url, '/v1/settings/model')).json;
    expect(loaded).toMatchObject({ model, status: 'loaded', device: 'mps', compute_type: 'float16' });
    const { mps, selected } = await appleGpu(gateway);
    expect(selected).toMatchObject({ 'faster-whisper': 'mps', 'onnx-asr': 'cpu' });
    expect(mps).toMatchObject({ usable: true, reason: null });
    expect(mps.engines['faster-whisper']).toMatchObject({ usable: true, reason: null });
    const unloaded = await call(gateway.url, '/v1/settings/model', { method: 'DELETE' });
    expect(unloaded.status, unloaded.text).toBe(200);
    expect(gateway.processes().filter((one) => one.includes('asrpro_worker'))).toEqual([]);
  });
}, 600_000);

test('a GPU that fails the capability test is not used, and the reason is reported', async () => {
  await on(await likeMac({ broken: 1 }), async (gateway) => {
    expect((await call(gateway.url, '/health')).json).toMatchObject({ current_model: model, device: 'cpu' });
    const { mps, selected } = await appleGpu(gateway);
    expect(selected['faster-whisper']).toBe('cpu');
    expect(mps.engines['faster-whisper'].reason).toContain('GPU Hang');
    expect(gateway.output.err).toContain('GPU Hang');
  });
}, 600_000);

test('a model that fails on the GPU is loaded on the CPU, although the GPU has passed the capability test', async () => {
  await on(await likeMac({ broken: 100 }), async (gateway) => {
    expect((await call(gateway.url, '/health')).json).toMatchObject({ current_model: model, device: 'cpu' });
    expect((await appleGpu(gateway)).selected['faster-whisper']).toBe('mps');
  });
}, 600_000);
