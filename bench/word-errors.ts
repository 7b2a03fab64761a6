import path from 'node:path';
import { execa } from 'execa';
import { pythonWithTools } from '../test/setup/python-tools.ts';
import type { Row } from './row.ts';

export interface Pair {
  reference: string;
  hypothesis: string;
  /** ISO 639-1 code; English by default. */
  language?: string;
}

export interface Sums {
  words: number;
  errors: number;
}

/** Sums of words and errors over all pairs. */
export async function wordErrors(pairs: readonly Pair[]): Promise<Sums> {
  const script = path.join(import.meta.dirname, 'word_error_rate.py');
  const { stdout } = await execa(await pythonWithTools(), [script, '--json'], { input: JSON.stringify(pairs) });
  return JSON.parse(stdout);
}

/** A row whose goal is no more errors than in-process. */
export function errorsRow(name: string, ours: Sums, theirs: Sums): Row {
  const rate = ({ errors, words }: Sums): string => `${errors} (${((100 * errors) / words).toFixed(2)} %)`;
  return {
    name: `${name}: word errors above in-process`,
    value: Math.max(0, ours.errors - theirs.errors),
    target: 0,
    unit: 'words',
    detail: `of ${ours.words}: asrpro ${rate(ours)}, in-process ${rate(theirs)}`,
  };
}
