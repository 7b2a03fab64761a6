import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { audio, checkout } from './checkout.ts';

export interface Utterance {
  file: string;
  /** What is said, in capitals without punctuation. */
  reference: string;
}

const whole = path.join(checkout, '..', 'shared', 'audio', 'librispeech');

/** LibriSpeech utterances: the larger selection where it lies beside the checkout, else the one in the repository. */
export function librispeech(): Utterance[] {
  const folder = existsSync(whole) ? whole : audio('librispeech');
  const [header, ...rows] = readFileSync(path.join(folder, 'manifest.tsv'), 'utf8').trimEnd().split('\n');
  const reference = header!.split('\t').indexOf('reference');
  return rows
    .map((row) => row.split('\t'))
    .map((columns) => ({ file: path.join(folder, columns[0]!), reference: columns[reference]! }));
}
