import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, expect, test } from 'vitest';
import { transcribe, wordsOf } from '../setup/api.ts';
import { checkout } from '../setup/checkout.ts';
import { corpus, type Recording } from '../setup/corpus.ts';
import { gatewayForAll } from '../setup/gateway.ts';
import { greedy } from '../setup/greedy.ts';
import { pythonWithTools } from '../setup/python-tools.ts';
import { wavOf } from '../setup/wav.ts';

const RATE = 16_000;
const folder = mkdtempSync(path.join(os.tmpdir(), 'asrpro-languages-'));
const english = corpus('librispeech').filter(({ file }) => file.includes('test-clean'));
const german = corpus('multilingual').filter(({ file }) => /de.cheetah_test_de|fleurs-de-00[15]/.test(file));
const gateway = gatewayForAll({ args: ['--model', 'whisper-base'], environment: greedy });
afterAll(() => rmSync(folder, { recursive: true }));

async function joined(name: string, files: readonly string[]): Promise<string> {
  const output = path.join(folder, name);
  const script = path.join(checkout, 'test', 'setup', 'join_speech.py');
  await execa(await pythonWithTools(), [script, output, ...files]);
  return output;
}

/** The share of the long words of a recording that are in a text. */
function part({ reference }: Recording, text: string): number {
  const heard = new Set(wordsOf(text).split(' '));
  const long = wordsOf(reference)
    .split(' ')
    .filter((word) => word.length > 3);
  return long.filter((word) => heard.has(word)).length / long.length;
}

test('no sentence is lost in a file with English, German and English again', { timeout: 300_000 }, async () => {
  const spoken = [...english.slice(0, 4), ...german, ...english.slice(4, 8)];
  const { json } = await transcribe(
    gateway().url,
    await joined(
      'mixed.wav',
      spoken.map(({ file }) => file),
    ),
  );
  const poor = spoken.filter((one) => part(one, json.text) < 0.4).map(({ reference }) => reference);
  expect(poor, json.text).toEqual([]);
});

/** Chords that change twice a second. */
function music(seconds: number): Buffer {
  const samples = Buffer.alloc(2 * seconds * RATE);
  for (let at = 0; at < seconds * RATE; at += 1) {
    const root = [220, 262, 294, 196][Math.floor(at / 8000) % 4]!;
    const fading = 1 - (at % 8000) / 9000;
    const wave = [1, 1.25, 1.5].reduce((sum, step) => sum + Math.sin((2 * Math.PI * root * step * at) / RATE), 0);
    samples.writeInt16LE(Math.round(2500 * fading * wave), 2 * at);
  }
  return samples;
}

test.each([
  ['silence', Buffer.alloc(2 * 40 * RATE)],
  ['music', music(40)],
])('German speech after 40 s of %s is recognised as German', { timeout: 300_000 }, async (name, sound) => {
  const before = path.join(folder, `${name}.wav`);
  writeFileSync(before, wavOf(sound, RATE));
  const spoken = german.slice(0, 2);
  const file = await joined(`${name}-speech.wav`, [before, ...spoken.map(({ file }) => file)]);
  const { json } = await transcribe(gateway().url, file, { response_format: 'verbose_json' });
  expect(json.language).toBe('german');
  for (const one of spoken) expect(part(one, json.text), json.text).toBeGreaterThan(0.4);
  expect(json.segments[0].start).toBeGreaterThan(38);
});
