/** Long files for the bench: the recording of 12 minutes if it is beside the checkout, and joined utterances. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { checkout } from '../test/setup/checkout.ts';
import { corpus } from '../test/setup/corpus.ts';
import { pythonWithTools } from '../test/setup/python-tools.ts';

export interface Spoken {
  path: string;
  reference: string;
  /** ISO-639-1. */
  language: string;
}

interface Part {
  file: string;
  reference: string;
  seconds: number;
}

const READING = path.join(checkout, '..', 'shared', 'audio', 'longform', 'libri_27-123349_12min');
const READING_SECONDS = 744;

/** The source of the files, for the page. */
export const made = existsSync(`${READING}.txt`) ? 'one reader' : 'joined utterances, the recording is missing here';

/** An English file of about `minutes` minutes: a recording of one reader, then utterances of many speakers. */
export async function english(folder: string, minutes: number): Promise<Spoken> {
  const utterances = parts('librispeech', 'en');
  const readings = existsSync(`${READING}.txt`) ? Math.floor(minutes / 12) : 0;
  const reading: Part = { file: `${READING}.m4a`, reference: '', seconds: READING_SECONDS };
  if (readings > 0) reading.reference = readFileSync(`${READING}.txt`, 'utf8');
  const chosen = Array.from({ length: readings }, () => reading);
  let missing = minutes * 60 - readings * READING_SECONDS;
  for (let next = 0; missing > 0; next += 1) {
    const part = utterances[next % utterances.length]!;
    chosen.push(part);
    missing -= part.seconds;
  }
  return await join(path.join(folder, `${minutes}-minutes.wav`), chosen, 'en');
}

/** All utterances of a language of the multilingual folder, joined. */
export async function joinedIn(folder: string, language: string): Promise<Spoken> {
  return await join(path.join(folder, `${language}.wav`), parts('multilingual', language), language);
}

/** Cuts off a file after `seconds` seconds. */
export async function beginning(folder: string, file: string, seconds: number): Promise<string> {
  const target = path.join(folder, `first-${seconds}`);
  mkdirSync(target);
  const script = path.join(import.meta.dirname, 'cut_audio.py');
  await execa(await pythonWithTools(), [script, file, target], { input: JSON.stringify([[0, seconds]]) });
  return path.join(target, '0.wav');
}

function parts(folder: string, language: string): Part[] {
  return corpus(folder)
    .filter((row) => row.language === language && row.reference !== '')
    .map(({ file, reference, duration_s }) => ({ file, reference, seconds: Number(duration_s) }));
}

async function join(output: string, chosen: readonly Part[], language: string): Promise<Spoken> {
  const script = path.join(checkout, 'test', 'setup', 'join_speech.py');
  await execa(await pythonWithTools(), [script, output, ...chosen.map(({ file }) => file)]);
  return { path: output, reference: chosen.map(({ reference }) => reference).join(' '), language };
}
