import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { audio, checkout } from './checkout.ts';

const whole = path.join(checkout, '..', 'shared', 'audio');

/** A row of a manifest: its columns by name, and the absolute path of the file. */
export interface Recording extends Record<string, string> {
  file: string;
  /** The spoken text; empty if there is no transcript. */
  reference: string;
}

/**
 * Recordings of a folder: the large selection if it is beside the checkout, else the one in the repository. Throws in
 * continuous integration when the large one is missing, so that a run without it is not taken for a complete one.
 */
export function corpus(folder: string): Recording[] {
  const large = existsSync(whole);
  if (!large && process.env.CI) throw new Error('the whole corpus is missing beside the checkout');
  return recordings(large ? path.join(whole, folder) : audio(folder));
}

/** Recordings of the folder `root`. */
export function recordings(root: string): Recording[] {
  const [header, ...rows] = readFileSync(path.join(root, 'manifest.tsv'), 'utf8').trimEnd().split('\n');
  const names = header!.split('\t');
  return rows.map((row) => {
    const columns = row.split('\t');
    const named = Object.fromEntries(names.map((name, at) => [name, columns[at] ?? '']));
    return { ...named, reference: named.reference ?? '', file: path.join(root, named.file!) };
  });
}
