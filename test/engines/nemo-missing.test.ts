import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { call, post, transcribe } from '../setup/api.ts';
import { audio } from '../setup/checkout.ts';
import { startGateway } from '../setup/gateway.ts';
import { temporaryHome } from '../setup/home.ts';

test('a downloaded .nemo model without its engine is not ready, and every answer says how to install the engine', async () => {
  const home = temporaryHome();
  const id = 'parakeet-tdt-0.6b-v3';
  const folder = path.join(home, 'models', id);
  mkdirSync(folder, { recursive: true });
  const file = { path: `${id}.nemo`, size: 4, sha256: '0'.repeat(64) };
  writeFileSync(path.join(folder, file.path), 'nemo');
  const marker = { id, repo: `nvidia/${id}`, revision: '0'.repeat(40), source: 'hub', installed: 0, files: [file] };
  writeFileSync(path.join(folder, '.asrpro.json'), JSON.stringify(marker));

  const { url } = await startGateway({ home });
  const { json: model } = await call(url, `/v1/models/${id}`);
  expect(model).toMatchObject({ id, engine: 'nemo', downloaded: true, ready: false });
  expect(model.reason).toContain('asrpro setup nemo');
  const [, nemo] = (await call(url, '/v1/engines')).json.engines;
  expect(nemo).toMatchObject({ id: 'nemo', installed: false, python: null });
  expect(nemo.size_bytes).toBeGreaterThan(2e9);
  for (const refused of [
    await transcribe(url, audio('english/jfk.flac'), { model: id }),
    await post(url, '/v1/settings/model', { model_id: id }),
  ]) {
    expect(refused.status, refused.text).toBeGreaterThanOrEqual(400);
    expect(refused.status, refused.text).toBeLessThan(500);
    expect(refused.json.error.message).toContain('asrpro setup nemo');
    expect(refused.headers.get('x-should-retry')).toBe('false');
  }
});
