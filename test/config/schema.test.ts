import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { settings } from '../../src/config/settings.ts';
import { configJsonSchema, configPage, schemaFile, withConfigTable } from './generated.ts';

test('config.schema.json matches the code (npm run schema)', () => {
  expect(readFileSync(schemaFile, 'utf8')).toBe(configJsonSchema());
});

test('the table of docs/configuration.md matches the code (npm run schema)', () => {
  const page = readFileSync(configPage, 'utf8');
  expect(page).toBe(withConfigTable(page));
  for (const { key } of settings) expect(page).toContain(`| \`${key}\` |`);
});

test('every key has a description and a default', () => {
  for (const setting of settings) {
    expect(setting.description, setting.key).toMatch(/\.$/);
    expect(setting.default, setting.key).toBeDefined();
  }
});

test('the names of environment variables follow from the keys', () => {
  const names = Object.fromEntries(settings.map((setting) => [setting.key, setting.environment]));
  expect(names).toMatchObject({
    'server.port': 'ASRPRO_SERVER_PORT',
    'server.maxUploadBytes': 'ASRPRO_SERVER_MAX_UPLOAD_BYTES',
    'models.useHuggingFaceCache': 'ASRPRO_MODELS_USE_HUGGING_FACE_CACHE',
  });
});
