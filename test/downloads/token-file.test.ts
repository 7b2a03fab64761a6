import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { defaultConfig } from '../../src/config/schema.ts';
import { hubSettings } from '../../src/downloads/hub-settings.ts';
import { temporaryHome } from '../setup/home.ts';

test.each([
  ['HF_TOKEN_PATH', '~/elsewhere', 'elsewhere'],
  ['HF_HOME', '~/hf', 'hf/token'],
  ['XDG_CACHE_HOME', '~/cache', 'cache/huggingface/token'],
  ['HF_TOKEN_PATH', '', '.cache/huggingface/token'],
])('%s=%s', (variable, value, file) => {
  const home = temporaryHome();
  mkdirSync(path.dirname(path.join(home, file)), { recursive: true });
  writeFileSync(path.join(home, file), 'hf_of_the_user\n');
  const { token } = hubSettings(defaultConfig.download, { HOME: home, USERPROFILE: home, [variable]: value });
  expect(token?.value).toBe('hf_of_the_user');
});
