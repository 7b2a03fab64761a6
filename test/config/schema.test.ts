import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { settings } from '../../src/config/settings.ts';
import { configJsonSchema, readmeFile, schemaFile, withConfigTable } from './generated.ts';

test('config.schema.json is what the code says (npm run schema)', () => {
  expect(readFileSync(schemaFile, 'utf8')).toBe(configJsonSchema());
});

test("the README's table is what the code says (npm run schema)", () => {
  const readme = readFileSync(readmeFile, 'utf8');
  expect(readme).toBe(withConfigTable(readme));
  for (const { key } of settings) expect(readme).toContain(`| \`${key}\` |`);
});

test('every key has a description and a default', () => {
  for (const setting of settings) {
    expect(setting.description, setting.key).toMatch(/\.$/);
    expect(setting.default, setting.key).toBeDefined();
  }
});

test('environment names follow the keys', () => {
  const names = Object.fromEntries(settings.map((setting) => [setting.key, setting.environment]));
  expect(names).toMatchObject({
    'server.port': 'ASRPRO_SERVER_PORT',
    'server.maxUploadBytes': 'ASRPRO_SERVER_MAX_UPLOAD_BYTES',
    'models.useHuggingFaceCache': 'ASRPRO_MODELS_USE_HUGGING_FACE_CACHE',
  });
});
