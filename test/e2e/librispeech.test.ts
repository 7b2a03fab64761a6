import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { transcribe } from '../setup/api.ts';
import { startGateway } from '../setup/gateway.ts';
import { librispeech } from '../setup/librispeech.ts';
import { pythonWithTools } from '../setup/python-tools.ts';
import { sharedHome } from '../setup/shared-home.ts';

test('whisper-base answers over HTTP what faster-whisper answers directly', { timeout: 900_000 }, async () => {
  const files = librispeech().map(({ file }) => file);
  const { url } = await startGateway({ args: ['--model', 'whisper-base'] });
  const answers: Record<string, string> = {};
  for (const file of files) {
    const answer = await transcribe(url, file);
    expect(answer.status, `${file}: ${answer.text}`).toBe(200);
    answers[file] = answer.json.text;
  }
  await fetch(`${url}/v1/settings/model`, { method: 'DELETE' });
  const script = path.join(import.meta.dirname, 'direct_faster_whisper.py');
  const model = path.join(sharedHome, 'models', 'whisper-base');
  const { stdout } = await execa(await pythonWithTools(), [script, model, ...files]);
  expect(answers).toEqual(JSON.parse(stdout));
});
