import { expect, test } from 'vitest';
import { transcribe } from '../setup/api.ts';
import { audio } from '../setup/checkout.ts';
import { sharedGateway } from './shared-gateway.ts';

const gateway = sharedGateway({ models: { settings: { 'mock-echo': { language: 'DE' } } } });

test('the configured language may be spelled in every way that a request may use', async () => {
  const { json, status, text } = await transcribe(gateway.url, audio('english/jfk.flac'), {
    model: 'mock-echo',
    response_format: 'verbose_json',
  });
  expect(status, text).toBe(200);
  expect(json.language).toBe('german');
});
