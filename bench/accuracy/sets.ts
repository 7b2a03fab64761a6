import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { audio, checkout } from '../../test/setup/checkout.ts';
import { corpus, type Recording, recordings } from '../../test/setup/corpus.ts';
import { pythonWithTools } from '../../test/setup/python-tools.ts';

export interface Spoken {
  file: string;
  reference: string;
  language: string;
  /** Rare names in the sentence, in their correct spelling. */
  names: string[];
}

export interface Collection {
  name: string;
  /** Whether an English model can transcribe it. */
  english: boolean;
  /** Whether its files are shorter than 30 s. */
  short: boolean;
  spoken: Spoken[];
}

/** Rare names in recordings of people. */
const REAL_NAMES: Record<string, string[]> = {
  '1688-142285-0001': ['Hale', 'Thornton'],
  '1688-142285-0005': ['Helstone'],
  '2033-164914-0005': ['Zau al Makan'],
  '2033-164914-0008': ['Nuzhat al Zaman'],
  '237-134500-0015': ['Shabata'],
  '2609-156975-0004': ['Merneptah'],
  '2609-156975-0007': ['Ephraim', 'Manasseh'],
  '367-130732-0006': ['Newberg'],
  'fleurs-en-002': ['Sintra'],
  'fleurs-en-006': ['Marianas'],
};

const longest = path.join(checkout, '..', 'shared', 'audio', 'longform', 'libri_27-123349_12min');
const LIMIT_SECONDS = 30;

/** All recordings with a transcript: the large corpus beside the checkout, else the recordings in the repository. */
export async function collections(folder: string): Promise<Collection[]> {
  const [libri, english, foreign] = ['librispeech', 'english', 'multilingual'].map(withText) as [
    Spoken[],
    Spoken[],
    Spoken[],
  ];
  const joined = await join(folder, libri);
  const short = corpus('multilingual').filter((row) => Number(row.duration_s) < LIMIT_SECONDS);
  const brief = new Set(short.map(({ file }) => file));
  const found: Collection[] = [
    { name: 'LibriSpeech', english: true, short: true, spoken: libri },
    { name: 'other English', english: true, short: true, spoken: english },
    { name: 'other languages', english: false, short: true, spoken: foreign.filter(({ file }) => brief.has(file)) },
    {
      name: 'other languages, long',
      english: false,
      short: false,
      spoken: foreign.filter(({ file }) => !brief.has(file)),
    },
    { name: 'LibriSpeech joined', english: true, short: false, spoken: [joined] },
  ];
  if (existsSync(`${longest}.txt`)) {
    const reference = readFileSync(`${longest}.txt`, 'utf8');
    const reading = { file: `${longest}.m4a`, reference, language: 'en', names: [] };
    found.push({ name: '12 minutes', english: true, short: false, spoken: [reading] });
  }
  return found.filter(({ spoken }) => spoken.length > 0);
}

/** Sentences with rare names, spoken by espeak-ng and by people. */
export function names(): { name: string; spoken: Spoken[] }[] {
  const made = recordings(audio('names')).map((row) => ({ ...spoken(row), names: row.names!.split(',') }));
  const real = [...withText('librispeech'), ...withText('english')].flatMap((one) => {
    const known = REAL_NAMES[path.parse(one.file).name];
    return known === undefined ? [] : [{ ...one, names: known }];
  });
  return [
    { name: 'names, espeak-ng', spoken: made },
    { name: 'names, people', spoken: real },
  ];
}

/** Start and text of each utterance of the recording of 12 minutes. */
export function utterances(): [number, string][] {
  const [, ...rows] = readFileSync(`${longest}.segments.tsv`, 'utf8').trimEnd().split('\n');
  return rows.map((row) => [Number(row.split('\t')[0]), row.split('\t')[3]!]);
}

function withText(folder: string): Spoken[] {
  return corpus(folder)
    .filter(({ reference }) => reference !== '')
    .map(spoken);
}

function spoken({ file, reference, language }: Recording): Spoken {
  return { file, reference, language: language!, names: [] };
}

async function join(folder: string, parts: readonly Spoken[]): Promise<Spoken> {
  const output = path.join(folder, 'joined.wav');
  const script = path.join(checkout, 'test', 'setup', 'join_speech.py');
  await execa(await pythonWithTools(), [script, output, ...parts.map(({ file }) => file)]);
  return { file: output, reference: parts.map(({ reference }) => reference).join(' '), language: 'en', names: [] };
}
