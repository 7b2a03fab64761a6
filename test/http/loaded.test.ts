import { expect, test, vi } from 'vitest';
import { selectedModel } from '../../src/config/store.ts';
import { call, post, transcribe } from '../setup/api.ts';
import { audio } from '../setup/checkout.ts';
import { mockGateway } from './mock-gateway.ts';

/** The loaded and the selected model, as clients see them. */
const jfk = audio('english/jfk.flac');
const settings = '/v1/settings/model';

test('requests without a model keep their model after a crash, and get the default after an unload', async () => {
  await using gateway = await mockGateway();
  const { url, services } = gateway;
  expect((await transcribe(url, jfk)).status).toBe(200);
  await post(url, settings, { model_id: 'mock-crash-in-job' });
  for (let count = 0; count < 2; count += 1)
    expect((await transcribe(url, jfk)).json.error).toMatchObject({ code: 'worker_crashed' });
  expect((await call(url, settings, { method: 'DELETE' })).json).toMatchObject({ status: 'success' });
  expect((await transcribe(url, jfk)).status).toBe(200);
  expect(services.residency.status().model).toBe('mock-echo');
});

test('the selection is stored before the gateway has closed, and an unload removes the stored one', async () => {
  const gateway = await mockGateway();
  const { url, services } = gateway;
  const stored = (): Promise<string | null> => selectedModel(services.paths).get();
  await transcribe(url, jfk, { model: 'mock-slow-not-there' });
  await transcribe(url, jfk, { model: 'mock-busy' });
  await vi.waitFor(async () => expect(await stored()).toBe('mock-busy'));
  await call(url, settings, { method: 'DELETE' });
  await services.close();
  expect(await stored()).toBeNull();
  await gateway[Symbol.asyncDispose]();
});

test('without a loaded model /health reports no device that was not probed', async () => {
  await using gateway = await mockGateway({ device: { prefer: 'cuda' } });
  expect((await call(gateway.url, '/health')).json).toMatchObject({ device: 'cpu', current_model: null });
});

test('closing takes no longer than its limit, although an installation never ends, and the process is killed', async () => {
  const gateway = await mockGateway({ server: { drainSeconds: 0.2 } });
  const never = new Promise<void>(() => undefined);
  vi.spyOn(gateway.services.engines, 'close').mockReturnValue(never);
  vi.spyOn(gateway.services.downloads, 'close').mockReturnValue(never);
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
  const begin = performance.now();
  await gateway.services.close();
  // Without the limit it would never end.
  expect(performance.now() - begin).toBeLessThan(15_000);
  await gateway[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(kill).toHaveBeenCalledWith(process.pid, 'SIGKILL'));
  kill.mockRestore();
});
